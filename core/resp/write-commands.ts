/**
 * Commands that change bytes of regions.
 *
 * A region has a fixed size: what does not lie within it is OUT_OF_RANGE, never an extension.
 */
import type { RegionRange } from '../contract/target.js';
import { DIRECT_BYTES } from '../targets/direct-target.js';
import { type Command, type CommandClient, type Run, WAIT } from './command.js';
import { RegionUse } from './conflicts.js';
import type { Landed } from './operation-call.js';
import { isPersistent, MANY, OK_LINE, ONE, placeOf } from './region-arguments.js';
import type { Request } from './request.js';

/** Where the bytes stand in a request. */
const BYTES = 3;

const PERSIST = { persist: true } as const;

function write(
  request: Request,
  client: CommandClient,
  persist: boolean,
  answersSize: boolean,
): ReturnType<Run> {
  const size = request.lengthOf(BYTES);
  const landed = request.longAt(BYTES)?.landed;
  if (landed !== undefined) {
    // Safe: the region was kept since its bounds were checked, and no other request of the connection began meanwhile.
    client.calls.record(landed.place, 'write', size);
    client.replies.line(answersSize ? sizeLine(landed.landing.regionSize) : OK_LINE);
    return undefined;
  }
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const offset = request.size(2, 'offset');
  const { target, direct } = place;
  const use = new RegionUse(target, id, offset, offset + size, true);
  if (client.calls.conflicts(use)) return WAIT;
  if (direct?.isDirect === true && size <= DIRECT_BYTES && client.calls.enter(place)) {
    try {
      const line = answersSize ? sizeLine(direct.statNow(id).size) : OK_LINE;
      const durable = direct.writeNow(id, offset, request.bytes(BYTES), persist);
      if (durable !== undefined) client.calls.leaveWhen(durable, place, 'write', size, line);
      else {
        client.calls.leave(place, 'write', size);
        client.replies.line(line);
      }
    } catch (error) {
      client.calls.fail(place, 'write', error);
    }
    return undefined;
  }
  const kept = client.keep(BYTES);
  const put = (): Promise<undefined> =>
    target.write(id, offset, kept.bytes, persist ? PERSIST : undefined) as Promise<undefined>;
  client.calls.operate<string | undefined>({
    operation: 'write',
    place,
    use,
    bytes: size,
    kept,
    // The size, which never changes, is asked for first: nothing but the write itself can fail behind the write.
    call: answersSize ? () => target.stat(id).then((stat) => put().then(() => sizeLine(stat.size))) : put,
    answer: (line, to) => (to.head = line ?? OK_LINE),
  });
  return undefined;
}

function sizeLine(size: number): string {
  return `:${size}\r\n`;
}

/** A write of many bytes, not to be made durable, has them come into the region itself. */
function landWrite(request: Request, client: CommandClient, size: number): Landed | undefined {
  // Of a request that has its bytes elsewhere, nothing before them says where they would belong.
  if (request.count !== BYTES) return undefined;
  const place = placeOf(request, client);
  const { target, direct } = place;
  const id = request.regionId(1);
  const offset = request.size(2, 'offset');
  if (direct === undefined || client.calls.conflicts(new RegionUse(target, id, offset, offset + size, true)))
    return undefined;
  const landing = direct.land(id, offset, size);
  return landing && { landing, place };
}

/** BLOB.WRITE id offset bytes [PERSIST] */
const blobWrite: Run = (request, client) => write(request, client, isPersistent(request, 4), false);

/** SETRANGE id offset bytes */
const setRange: Run = (request, client) => write(request, client, false, true);

/** BLOB.WRITEV id offset bytes [offset bytes]… [PERSIST] */
const writev: Run = (request, client) => {
  const pairs = Math.floor((request.count - 2) / 2);
  const persist = isPersistent(request, 2 + 2 * pairs);
  const place = placeOf(request, client);
  const id = request.regionId(1);
  const use = new RegionUse(place.target, id, 0, Infinity, true);
  if (client.calls.conflicts(use)) return WAIT;
  const ranges: RegionRange[] = [];
  const pieces: Uint8Array[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const piece = request.bytes(3 + 2 * pair);
    ranges.push({ offset: request.size(2 + 2 * pair, 'offset'), size: piece.length });
    pieces.push(piece);
  }
  const kept = client.keepCopy(pieces);
  client.calls.operate({
    operation: 'write',
    place,
    use,
    bytes: kept.bytes.length,
    kept,
    call: () => place.target.writev(id, ranges, kept.bytes, { persist }),
    answer: (_, to) => (to.head = OK_LINE),
  });
  return undefined;
};

export const WRITE_COMMANDS: readonly Command[] = [
  {
    name: 'blob.write',
    arity: [4, 5],
    keys: ONE,
    run: blobWrite,
    land: landWrite,
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
    land: landWrite,
    isWrite: true,
    summary: 'Overwrites part of a region; gives its size.',
  },
];
