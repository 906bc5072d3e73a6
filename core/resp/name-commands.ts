/**
 * Commands that name regions, find regions by name, and change several regions at once. They are
 * the plain calls of targets; the commands of Redis on keys follow Redis.
 */
import { invalid } from '../base/errors.js';
import type { Change, NamesOptions, RegionRef } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import { listNamesInPieces } from '../runtime/list-pieces.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { Arguments } from './arguments.js';
import {
  alone,
  CHANGES,
  CHANGES_ONE,
  type Command,
  command,
  type CommandSession,
  MANY,
  READS,
  type Run,
} from './command.js';
import { putArgument } from './put-argument.js';
import { countArgument, nameArgument, OK_LINE, putCondition, servedOf } from './region-arguments.js';
import { ArrayInPieces, type Reply } from './replies.js';

/** Names in a page by default. */
const NAMES_COUNT = 1000;

/** BLOB.PUT name bytes [ABSENT | IF id] */
const put: Run = (request, session) => {
  const name = nameArgument(request, 1);
  const served = servedOf(request, session);
  const condition = putCondition(request, 3);
  return putArgument(session, served, name, condition, (id, to) => {
    to.head = `$32\r\n${id.toString()}\r\n`;
  });
};

/** BLOB.RENAME key name [REPLACE]; an empty name removes it. */
const rename: Run = (request, session) => {
  const ref = request.ref(1);
  const served = servedOf(request, session);
  const name = request.lengthOf(2) === 0 ? null : nameArgument(request, 2);
  session.rights.permit(served, ref);
  if (name !== null) session.rights.permit(served, name);
  const replace = request.count > 3;
  if (replace && !request.isWord(3, 'replace')) throw invalid('only REPLACE may follow the name');
  return session.calls.operate({
    operation: 'rename',
    served,
    isAlone: true,
    bytes: 0,
    call: () => served.target.rename(ref, name, { replace }),
    answer: (_, to) => (to.head = OK_LINE),
  });
};

/** BLOB.NAMES [PREFIX text] [DELIMITER text] [AFTER text] [COUNT n] [AT provider] */
const names: Run = (request, session) => {
  const options: NamesOptions & { limit: number } = { limit: NAMES_COUNT };
  let prefix = '';
  for (let index = 1; index < request.count; index += 2) {
    if (index + 1 === request.count) throw invalid(`${request.text(index).slice(0, 32)} has no value`);
    if (request.isWord(index, 'count')) options.limit = countArgument(request, index + 1);
    else if (request.isWord(index, 'at')) prefix = `${request.text(index + 1)}/`;
    else if (request.isWord(index, 'prefix')) options.prefix = request.utf8(index + 1);
    else if (request.isWord(index, 'delimiter')) options.delimiter = request.utf8(index + 1);
    else if (request.isWord(index, 'after')) options.after = request.utf8(index + 1);
    else
      throw invalid(
        `BLOB.NAMES has PREFIX, DELIMITER, AFTER, COUNT and AT, not ${request.text(index).slice(0, 32)}`,
      );
  }
  const served = session.served(prefix);
  const confined = session.rights.confine(served, options.prefix ?? '');
  if (confined !== '') options.prefix = confined;
  return session.calls.operate({
    operation: 'names',
    served,
    isAlone: true,
    bytes: 0,
    call: async (reply) => {
      const all = new ArrayInPieces(session.protocol);
      const prefixes = new ArrayInPieces(session.protocol);
      const take = (to: ArrayInPieces, members: readonly Reply[]): void => {
        // What is sent, and what it is built from.
        session.replies.promise(reply, 2 * to.add(members));
      };
      // Safe: no command changes the protocol while this one runs, as it is alone.
      const next = await listNamesInPieces(served.target, options, (page) => {
        take(
          all,
          page.names.map(({ name, id, size, createdAt }) => [name, id.toString(), size, createdAt]),
        );
        take(prefixes, page.prefixes);
      });
      return { next: next ?? null, names: all.encoded, prefixes: prefixes.encoded };
    },
    answer: (found, to) => to.setEncoded(session.encode([found.next, found.names, found.prefixes])),
  });
};

/**
 * BLOB.TRANSACT change…, each change one of: WRITE key offset bytes, PUT name bytes, ERASE key,
 * RENAME key name, REPLACE key name (a rename that erases the region which had the name), EXPECT
 * name id. An empty name in RENAME removes the name. An empty id in EXPECT means that no region has
 * the name.
 */
const transact: Run = (request, session) => {
  const { args, release } = session.memory.keepArguments();
  let parsed: ReturnType<typeof changesOf>;
  try {
    parsed = changesOf(args, session);
  } catch (error) {
    release();
    throw error;
  }
  const { served, changes, bytes } = parsed;
  return session.calls.operate({
    operation: 'transact',
    served,
    isAlone: true,
    bytes,
    whenEnded: release,
    call: () => served.space.make(bytes, () => served.target.transact(changes)),
    answer: ({ ids }, to) => to.setEncoded(session.encode(ids.map((id) => id?.toString() ?? null))),
  });
};

/** @throws INVALID_ARGUMENT */
function changesOf(
  args: Arguments,
  session: CommandSession,
): { served: ServedTarget; changes: Change[]; bytes: number } {
  const changes: Change[] = [];
  let served: ServedTarget | undefined;
  let bytes = 0;
  let at = 1;
  const next = (what: string): number => {
    if (at < args.count) return at++;
    throw invalid(`${what} of the last change is missing`);
  };
  const key = (): RegionRef => {
    const index = next('the region');
    const own = session.served(args.prefix(index));
    if (served !== undefined && own !== served)
      throw invalid('all keys of a transaction must be in one target');
    served = own;
    const ref = args.ref(index);
    session.rights.permit(own, ref);
    return ref;
  };
  const name = (): string => {
    const ref = key();
    if (typeof ref === 'string') return ref;
    throw invalid('that is an ID, and no name');
  };
  const contents = (): Buffer => {
    const found = args.bytes(next('the contents'));
    bytes += found.length;
    return found;
  };
  const wish = (): string | null => {
    const index = next('the name');
    if (args.bytes(index).length === 0) return null;
    const ref = args.ref(index);
    if (typeof ref !== 'string') throw invalid('that is an ID, and no name');
    if (served !== undefined) session.rights.permit(served, ref);
    return ref;
  };
  const expected = (): RegionId | null => {
    const index = next('the ID');
    if (args.bytes(index).length === 0) return null;
    const ref = args.ref(index);
    if (typeof ref !== 'string') return ref;
    throw invalid('EXPECT takes a name, and an ID or nothing');
  };
  while (at < args.count) {
    const index = at++;
    if (args.isWord(index, 'write'))
      changes.push({ type: 'write', ref: key(), offset: args.size(next('the offset')), bytes: contents() });
    else if (args.isWord(index, 'put')) changes.push({ type: 'put', name: name(), contents: contents() });
    else if (args.isWord(index, 'erase')) changes.push({ type: 'erase', ref: key() });
    else if (args.isWord(index, 'rename'))
      changes.push({ type: 'rename', ref: key(), to: wish(), replace: false });
    else if (args.isWord(index, 'replace'))
      changes.push({ type: 'rename', ref: key(), to: wish(), replace: true });
    else if (args.isWord(index, 'expect')) changes.push({ type: 'expect', name: name(), id: expected() });
    else
      throw invalid(
        `a change is WRITE, PUT, ERASE, RENAME, REPLACE or EXPECT, not ${args.text(index).slice(0, 32)}`,
      );
  }
  return { served: served ?? session.served(''), changes, bytes };
}

export const NAME_COMMANDS: readonly Command[] = [
  command('blob.put', [3, 5], put, 'Creates a region with a name and contents; returns its ID.', CHANGES_ONE),
  command('blob.rename', [3, 4], alone(rename), 'Gives a region a name, or removes its name.', {
    ...CHANGES_ONE,
    of: 'names',
  }),
  command('blob.names', [1, 11], alone(names), 'Lists the names of a target, in pages.', {
    ...READS,
    of: 'names',
  }),
  command('blob.transact', [2, MANY], alone(transact), 'Makes several changes, all of them or none.', {
    ...CHANGES,
    of: 'names',
  }),
];
