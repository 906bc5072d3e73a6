/**
 * Commands that change bytes of regions.
 *
 * A region has a fixed size: what does not lie within it is OUT_OF_RANGE, never an extension.
 */
import type { RegionRange, RegionStat } from '../target/index.js';
import { RegionUse } from './conflicts.js';
import { WAIT, type Command, type CommandClient, type Run } from './command.js';
import { MANY, OK_LINE, ONE, isPersistent, placeOf } from './region-arguments.js';
import type { Request } from './request.js';

const PERSIST = { persist: true } as const;

function write(
  request: Request,
  client: CommandClient,
  reply: Parameters<Run>[2],
  persist: boolean,
  answersSize: boolean,
): ReturnType<Run> {
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const offset = request.size(2, 'offset');
  const { target } = place;
  const size = request.lengthOf(3);
  const use = new RegionUse(target, id, offset, offset + size, true);
  if (client.conflicts(use)) return WAIT;
  const bytes = request.bytes(3);
  client.operate<RegionStat | undefined>(
    {
      operation: 'write',
      place,
      use,
      bytes: size,
      keepsInput: true,
      call: () => {
        const written = target.write(id, offset, bytes, persist ? PERSIST : undefined) as Promise<undefined>;
        return answersSize ? written.then(() => target.stat(id)) : written;
      },
      answer: (stat, to) => (to.head = stat === undefined ? OK_LINE : `:${stat.size}\r\n`),
    },
    reply,
  );
  return undefined;
}

/** BLOB.WRITE id offset bytes [PERSIST] */
const blobWrite: Run = (request, client, reply) =>
  write(request, client, reply, isPersistent(request, 4), false);

/** SETRANGE id offset bytes */
const setRange: Run = (request, client, reply) => write(request, client, reply, false, true);

/** BLOB.WRITEV id offset bytes [offset bytes]… [PERSIST] */
const writev: Run = (request, client, reply) => {
  const pairs = Math.floor((request.count - 2) / 2);
  const persist = isPersistent(request, 2 + 2 * pairs);
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const use = new RegionUse(place.target, id, 0, Infinity, true);
  if (client.conflicts(use)) return WAIT;
  const ranges: RegionRange[] = [];
  const pieces: Buffer[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const piece = request.bytes(3 + 2 * pair);
    ranges.push({ offset: request.size(2 + 2 * pair, 'offset'), size: piece.length });
    pieces.push(piece);
  }
  const bytes = Buffer.concat(pieces);
  client.operate(
    {
      operation: 'write',
      place,
      use,
      bytes: bytes.length,
      keepsInput: false,
      call: () => place.target.writev(id, ranges, bytes, { persist }),
      answer: (_, to) => (to.head = OK_LINE),
    },
    reply,
  );
  return undefined;
};

export const WRITE_COMMANDS: readonly Command[] = [
  {
    name: 'blob.write',
    arity: [4, 5],
    keys: ONE,
    run: blobWrite,
    isWrite: true,
    summary: 'Overwrites part of a region.',
  },
  {
    name: 'blob.writev',
    arity: [4, MANY],
    keys: ONE,
    run: writev,
    isWrite: true,
    summary: 'Overwrites several parts of a region.',
  },
  {
    name: 'setrange',
    arity: [4, 4],
    keys: ONE,
    run: setRange,
    isWrite: true,
    summary: 'Overwrites part of a region; gives its size.',
  },
];
