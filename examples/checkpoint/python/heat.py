"""The simulation of ../main.js in Python: it keeps its checkpoint at a daemon, through the Redis protocol.

    python3 heat.py STEPS [SIDE]

BEDROCK_RESP_URL says where the daemon is: redis://127.0.0.1:7481 by default. The checkpoint has the
same form as that of main.js, so each program resumes what the other has left.
"""

import array
import os
import struct
import sys

import redis

EVERY = 50
NAME = "heat"
MAGIC = 0x54504B43  # "CKPT"
VERSION = 1
HEADER = struct.Struct("<IIQ")  # magic, version, step


def save(client, step, cells):
    """Replaces the checkpoint. It is durable when this returns, if the target is persistent."""
    client.set(NAME, HEADER.pack(MAGIC, VERSION, step) + cells.tobytes())


def load(client):
    """Returns the step and the cells of the last checkpoint, or None if there is none."""
    saved = client.get(NAME)
    if saved is None:
        return None
    is_known = len(saved) >= HEADER.size and HEADER.unpack_from(saved)[:2] == (MAGIC, VERSION)
    if not is_known or len(saved) % 8 != 0:
        raise SystemExit(f'"{NAME}" is not a checkpoint that this program knows')
    cells = array.array("d")
    cells.frombytes(saved[HEADER.size :])
    return HEADER.unpack_from(saved)[2], cells


def next_cells(cells, side):
    """One step of Jacobi's iteration on a square plate whose left edge is kept hot."""
    result = array.array("d", bytes(8 * side * side))
    for row in range(side):
        for column in range(side):
            at = row * side + column
            if column == 0:
                result[at] = 100
            elif row not in (0, side - 1) and column != side - 1:
                result[at] = (cells[at - 1] + cells[at + 1] + cells[at - side] + cells[at + side]) / 4
    return result


def main():
    if len(sys.argv) not in (2, 3) or not all(argument.isdigit() for argument in sys.argv[1:]):
        raise SystemExit("usage: python3 heat.py STEPS [SIDE]")
    steps = int(sys.argv[1])
    side = int(sys.argv[2]) if len(sys.argv) == 3 else 64
    if steps == 0 or side < 3:
        raise SystemExit("a plate has at least 3 cells a side, and a run at least one step")
    client = redis.Redis.from_url(os.environ.get("BEDROCK_RESP_URL", "redis://127.0.0.1:7481"))
    saved = load(client)
    first, cells = saved or (0, array.array("d", bytes(8 * side * side)))
    if len(cells) != side * side:
        raise SystemExit(f"the checkpoint has {len(cells)} cells, and a plate of {side} has {side * side}")
    print("starting" if saved is None else f"resuming from step {first}", flush=True)
    for step in range(first + 1, steps + 1):
        cells = next_cells(cells, side)
        if step % EVERY == 0 or step == steps:
            save(client, step, cells)
            print(f"step {step}: {sum(cells) / len(cells):.3f} degrees on average", flush=True)


main()
