/** Commands about a target as a whole: which regions it has, and how full it is. */
import type { RegionId } from '../contract/region-id.js';
import type { RegionPage, TargetStats } from '../contract/target.js';
import { type Command, type CommandClient, type Run, WAIT } from './command.js';
import type { Place } from './operation-call.js';
import { invalid, placeOf } from './region-arguments.js';
import { type Reply, ReplyMap } from './replies.js';
import type { Request } from './request.js';

/** Regions of one page unless told. */
const SCAN_COUNT = 10;
const LIST_COUNT = 1000;
/** How many may be asked for. */
const MAX_COUNT = 10_000;
/** What a region of a page takes in a reply, at most. */
const LISTED_BYTES = 100;

function countArgument(request: Request, index: number): number {
  const count = request.size(index, 'COUNT');
  if (count >= 1 && count <= MAX_COUNT) return count;
  throw invalid(`COUNT is ${count}; it must be from 1 to ${MAX_COUNT}`);
}

function list(
  client: CommandClient,
  place: Place,
  options: { after: RegionId | undefined; limit: number },
  answer: (page: RegionPage) => Reply,
): void {
  const { after, limit } = options;
  client.calls.operate({
    operation: 'list',
    place,
    isAlone: true,
    bytes: 0,
    promised: limit * LISTED_BYTES,
    call: () => place.target.list(after === undefined ? { limit } : { after, limit }),
    answer: (page, to) => to.setEncoded(client.encode(answer(page))),
  });
}

/** BLOB.LIST [AFTER id] [COUNT n] [AT provider] */
const blobList: Run = (request, client) => {
  if (client.isBusy) return WAIT;
  let place: Place | undefined;
  let after: RegionId | undefined;
  let limit = LIST_COUNT;
  for (let index = 1; index < request.count; index += 2) {
    if (index + 1 === request.count) throw invalid(`${request.text(index).slice(0, 32)} has no value`);
    if (request.isWord(index, 'after')) {
      place = placeOf(request, client, index + 1);
      after = request.regionId(index + 1);
    } else if (request.isWord(index, 'count')) limit = countArgument(request, index + 1);
    else if (request.isWord(index, 'at')) place = client.place(`${request.text(index + 1)}/`);
    else throw invalid(`BLOB.LIST has AFTER, COUNT and AT, and no ${request.text(index).slice(0, 32)}`);
  }
  list(client, place ?? client.place(''), { after, limit }, ({ regions, next }) => [
    next?.toString() ?? null,
    regions.map(({ id, size, createdAt }) => [id.toString(), size, createdAt]),
  ]);
  return undefined;
};

/** SCAN cursor [COUNT n] */
const scan: Run = (request, client) => {
  if (client.isBusy) return WAIT;
  const cursor = request.size(1, 'cursor');
  let limit = SCAN_COUNT;
  if (request.count > 2) {
    if (request.count !== 4 || !request.isWord(2, 'count')) throw invalid('SCAN has COUNT, and nothing else');
    limit = countArgument(request, 3);
  }
  const after = cursor === 0 ? undefined : client.cursors.get(cursor);
  if (cursor !== 0 && after === undefined)
    throw invalid(`the cursor ${cursor} is not known any more; begin with 0`);
  list(client, client.place(''), { after, limit }, ({ regions, next }) => [
    next === undefined ? '0' : String(client.cursors.keep(next)),
    regions.map(({ id }) => id.toString()),
  ]);
  return undefined;
};

/** What a target says about itself. */
function stats(answer: (stats: TargetStats) => Reply): Run {
  return (request, client) => {
    if (client.isBusy) return WAIT;
    if (request.count > 1 && !(request.count === 3 && request.isWord(1, 'at')))
      throw invalid(`only AT provider may follow, and no ${request.text(1).slice(0, 32)}`);
    const place = client.place(request.count === 1 ? '' : `${request.text(2)}/`);
    client.calls.operate({
      operation: 'stat',
      place,
      isAlone: true,
      bytes: 0,
      call: () => place.target.stats(),
      answer: (found, to) => to.setEncoded(client.encode(answer(found))),
    });
    return undefined;
  };
}

/** BLOB.STATS [AT provider] */
const blobStats = stats(
  ({ recovery, ...flat }) =>
    new ReplyMap([...Object.entries(flat), ['recovery', new ReplyMap(Object.entries(recovery))]]),
);

/** DBSIZE [AT provider] */
const dbsize = stats(({ regions }) => regions);

export const TARGET_COMMANDS: readonly Command[] = [
  {
    name: 'blob.list',
    arity: [1, 7],
    run: blobList,
    isRead: true,
    summary: 'Gives the regions of a target, in pages.',
  },
  { name: 'blob.stats', arity: [1, 3], run: blobStats, isRead: true, summary: 'Says how full a target is.' },
  {
    name: 'dbsize',
    arity: [1, 3],
    run: dbsize,
    isRead: true,
    summary: 'Gives how many regions a target has.',
  },
  { name: 'scan', arity: [2, 4], run: scan, isRead: true, summary: 'Gives the IDs of a target, in pages.' },
];
