/** Commands about a whole target: its regions, and how full it is. */
import { invalid } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionStat, TargetStats } from '../contract/target.js';
import { alone, type Command, command, type CommandSession, MANY, READS, type Run } from './command.js';
import { listInPieces } from '../runtime/list-pieces.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { ListingPosition } from './cursors.js';
import { NEED } from '../security/identity.js';
import { Glob } from './glob.js';
import { FROM_THE_FIRST, listKeys, prefixOf, randomKey } from './key-listing.js';
import { RedisFault, SYNTAX } from './redis-fault.js';
import { countArgument, MAX_COUNT, servedOf } from './region-arguments.js';
import { ArrayInPieces, type Reply, ReplyMap } from './replies.js';

/** Regions in a page by default. */
const SCAN_COUNT = 10;
const LIST_COUNT = 1000;
/** The most bytes that a region in a page takes in a reply. */
const LISTED_BYTES = 100;

function list(
  session: CommandSession,
  served: ServedTarget,
  options: { after: RegionId | undefined; limit: number },
  row: (region: RegionStat) => Reply,
  cursorOf: (next: RegionId | undefined) => Reply,
): undefined {
  return session.calls.operate({
    operation: 'list',
    served,
    isAlone: true,
    bytes: 0,
    promised: options.limit * LISTED_BYTES,
    call: async () => {
      const rows = new ArrayInPieces(session.protocol);
      // Safe: no command changes the protocol while this one runs, as it is alone.
      const next = await listInPieces(served.target, options, (regions) => {
        rows.add(regions.map(row));
      });
      return { next, rows: rows.encoded };
    },
    answer: ({ next, rows }, to) => to.setEncoded(session.encode([cursorOf(next), rows])),
  });
}

/** BLOB.LIST [AFTER id] [COUNT n] [AT provider] */
const blobList: Run = (request, session) => {
  let served: ServedTarget | undefined;
  let after: RegionId | undefined;
  let limit = LIST_COUNT;
  for (let index = 1; index < request.count; index += 2) {
    if (index + 1 === request.count) throw invalid(`${request.text(index).slice(0, 32)} has no value`);
    if (request.isWord(index, 'after')) {
      served = servedOf(request, session, index + 1);
      after = request.regionId(index + 1);
    } else if (request.isWord(index, 'count')) limit = countArgument(request, index + 1);
    else if (request.isWord(index, 'at')) served = session.served(`${request.text(index + 1)}/`);
    else throw invalid(`BLOB.LIST has AFTER, COUNT and AT, not ${request.text(index).slice(0, 32)}`);
  }
  return list(
    session,
    served ?? session.served(''),
    { after, limit },
    ({ id, size, createdAt, name }) => [
      id.toString(),
      size,
      createdAt,
      ...(name === undefined ? [] : [name]),
    ],
    (next) => next?.toString() ?? null,
  );
};

/** SCAN cursor [MATCH pattern] [COUNT n] [TYPE string] */
const scan: Run = (request, session) => {
  const cursor = request.position(1, 'invalid cursor');
  let count = SCAN_COUNT;
  let glob: Glob | undefined;
  let isOfType = true;
  for (let index = 2; index < request.count; index += 2) {
    if (index + 1 === request.count) throw new RedisFault(SYNTAX);
    if (request.isWord(index, 'count')) {
      count = request.position(index + 1);
      if (count < 1) throw new RedisFault(SYNTAX);
    } else if (request.isWord(index, 'match')) glob = new Glob(Uint8Array.from(request.bytes(index + 1)));
    else if (request.isWord(index, 'type')) isOfType = request.isWord(index + 1, 'string');
    else throw new RedisFault(SYNTAX);
  }
  const place = cursor === 0 ? FROM_THE_FIRST : session.cursors.get(cursor);
  if (place === undefined) throw invalid(`the cursor ${cursor} is no longer known; begin with 0`);
  const limit = Math.min(count, MAX_COUNT);
  const served = session.served('');
  const prefix = session.rights.confine(served, prefixOf(glob) ?? '');
  return keys(
    session,
    served,
    isOfType,
    ({ target }, take) =>
      listKeys(target, place, { glob, prefix, areIdsShown: isWhole(served, session) }, limit, take),
    true,
  );
};

/** KEYS pattern */
const allKeys: Run = (request, session) => {
  const glob = new Glob(Uint8Array.from(request.bytes(1)));
  const served = session.served('');
  const prefix = session.rights.confine(served, prefixOf(glob) ?? '');
  const keysAsked = { glob, prefix, areIdsShown: isWhole(served, session) };
  return keys(
    session,
    served,
    true,
    async ({ target }, take) => {
      let place: ListingPosition | undefined = FROM_THE_FIRST;
      // Safe: names may come and go between pages, and the order of the others stays.
      while (place !== undefined) place = await listKeys(target, place, keysAsked, MAX_COUNT, take);
      return undefined;
    },
    false,
  );
};

/** Whether the client may read all of a target, also what has no name. */
function isWhole({ provider }: ServedTarget, { rights }: CommandSession): boolean {
  return rights.authority?.allows(NEED.read, provider.name) !== false;
}

/** Replies with keys as they are found. There must be memory for each. */
function keys(
  session: CommandSession,
  served: ServedTarget,
  isOfType: boolean,
  find: (
    served: ServedTarget,
    take: (found: readonly string[]) => void,
  ) => Promise<ListingPosition | undefined>,
  hasCursor: boolean,
): undefined {
  return session.calls.operate({
    operation: 'names',
    served,
    isAlone: true,
    bytes: 0,
    call: async (reply) => {
      const rows = new ArrayInPieces(session.protocol);
      // Safe: no command changes the protocol while this one runs, as it is alone.
      const place = await find(served, (found) => {
        if (!isOfType || found.length === 0) return;
        // What is sent, and what it is built from.
        session.replies.promise(reply, 2 * rows.add(found));
      });
      return { place, rows: rows.encoded };
    },
    answer: ({ place, rows }, to) => {
      const cursor = place === undefined ? '0' : String(session.cursors.keep(place));
      to.setEncoded(session.encode(hasCursor ? [cursor, rows] : rows));
    },
  });
}

/** RANDOMKEY */
const random: Run = (_request, session) => {
  const served = session.served('');
  return session.calls.operate({
    operation: 'names',
    served,
    isAlone: true,
    bytes: 0,
    call: () => randomKey(served.target),
    answer: (key, to) => to.setEncoded(session.encode(key ?? null)),
  });
};

/** A command that replies with a target's statistics. */
function stats(answer: (stats: TargetStats) => Reply): Run {
  return alone((request, session) => {
    if (request.count > 1 && !(request.count === 3 && request.isWord(1, 'at')))
      throw invalid(`only AT provider may follow, not ${request.text(1).slice(0, 32)}`);
    const served = session.served(request.count === 1 ? '' : `${request.text(2)}/`);
    return session.calls.operate({
      operation: 'stat',
      served,
      isAlone: true,
      bytes: 0,
      call: () => served.target.stats(),
      answer: (found, to) => to.setEncoded(session.encode(answer(found))),
    });
  });
}

/** BLOB.STATS [AT provider] */
const blobStats = stats(
  ({ recovery, ...flat }) =>
    new ReplyMap([...Object.entries(flat), ['recovery', new ReplyMap(Object.entries(recovery))]]),
);

/** DBSIZE [AT provider] */
const dbsize = stats(({ regions }) => regions);

const OF_KEYS = { ...READS, group: 'generic' } as const;
const BY_NAME = { ...OF_KEYS, of: 'names' } as const;

export const TARGET_COMMANDS: readonly Command[] = [
  command('blob.list', [1, 7], alone(blobList), 'Lists the regions of a target, in pages.', READS),
  command('blob.stats', [1, 3], blobStats, 'Returns how full a target is.', READS),
  command('dbsize', [1, 3], dbsize, 'Returns how many regions a target has.', OF_KEYS),
  command('scan', [2, MANY], alone(scan), 'Lists the keys of a target, in pages.', BY_NAME),
  command('keys', [2, 2], alone(allKeys), 'Returns the keys that match a pattern.', BY_NAME),
  command('randomkey', [1, 1], alone(random), 'Returns one of the keys.', OF_KEYS),
];
