/** Commands on whole regions: they create regions, make them durable, look at them and erase them. */
import { asBedrockError, BedrockError, invalid } from '../base/errors.js';
import type { RegionRef } from '../contract/names.js';
import type { RegionStat } from '../contract/target.js';
import {
  ALL,
  CHANGES,
  CHANGES_ALL,
  CHANGES_ONE,
  type Command,
  command,
  MANY,
  READS_ALL,
  READS_ONE,
  type Run,
  WAIT,
} from './command.js';
import { checkName } from '../targets/arguments.js';
import type { ServedTarget } from '../runtime/served-target.js';
import { RegionUse } from './conflicts.js';
import { look } from './direct-steps.js';
import type { Step } from './step.js';
import { checkNamed, runStep } from './steps.js';
import { del, exists, strLen } from './string-steps.js';
import { creationOptions, OK_LINE, onRegion, servedOf, rangesOf } from './region-arguments.js';
import { type Reply, ReplyMap } from './replies.js';

/** BLOB.CREATE size [DATA bytes] [PERSIST] [NAME name] [AT provider] */
const create: Run = (request, session) => {
  const size = request.size(1, 'size');
  const hasData = request.count > 2 && request.isWord(2, 'data');
  if (hasData && request.count < 4) throw invalid('the bytes after DATA are missing');
  const { persist, name, served } = creationOptions(request, session, hasData ? 4 : 2);
  session.rights.permit(served, name);
  const use = name === undefined ? undefined : new RegionUse(served.target, name, 0, Infinity, true);
  if (use !== undefined && session.calls.conflicts(use)) return WAIT;
  const naming = name === undefined ? undefined : { name };
  if (hasData && request.lengthOf(3) !== size)
    throw invalid(`DATA has ${request.lengthOf(3)} bytes, but the size is ${size}`);
  const kept = hasData ? session.memory.keep(3) : undefined;
  return session.calls.operate({
    operation: 'create',
    served,
    use,
    bytes: hasData ? size : 0,
    kept,
    call: () =>
      served.space.make(size, () =>
        kept === undefined
          ? served.target.create(size, naming)
          : served.target.createAndWrite(kept.bytes, { persist, ...naming }),
      ),
    answer: (id, to) => (to.head = `$32\r\n${id.toString()}\r\n`),
  });
};

/** BLOB.PERSIST id [offset size]… It counts as a change, since it makes earlier writes durable. */
const persist = onRegion(true, ({ served, id, use }, request, session) => {
  const ranges = request.count === 2 ? undefined : rangesOf(request);
  return session.calls.operate({
    operation: 'persist',
    served,
    use,
    bytes: 0,
    kept: session.memory.keepList(ranges?.length ?? 0),
    call: () => served.target.persist(id, ranges),
    answer: (_, to) => (to.head = OK_LINE),
  });
});

/** BLOB.ERASE id */
const erase = onRegion(true, ({ served, id, use }, _request, session) =>
  session.calls.operate({
    operation: 'erase',
    served,
    use,
    bytes: 0,
    call: () => served.target.erase(id),
    answer: (_, to) => (to.head = OK_LINE),
  }),
);

function stat(answer: (stat: RegionStat) => Reply): Run {
  return onRegion(false, ({ served, id, use }, _request, session) =>
    session.calls.operate({
      operation: 'stat',
      served,
      use,
      bytes: 0,
      call: () => served.target.stat(id),
      answer: (found, to) => to.setEncoded(session.encode(answer(found))),
    }),
  );
}

/** Handles one ID after another, up to the first that fails. IDs without a region are not counted. */
function countOf(operation: 'erase' | 'stat', step: Step): Run {
  const together = runStep(operation, ALL, step);
  return (request, session) => {
    const named: { served: ServedTarget; id: RegionRef }[] = [];
    for (let index = 1; index < request.count; index++) {
      const id = request.ref(index);
      const served = servedOf(request, session, index);
      if (typeof id === 'string') {
        // Checked before the first one is done: if one is not possible, none is done.
        checkNamed(served);
        checkName(id);
      }
      named.push({ served, id });
    }
    const [first] = named;
    if (first === undefined) throw invalid('name at least one region');
    const { served: one } = first;
    const isAlone = named.length > 1;
    const use = isAlone ? undefined : new RegionUse(one.target, first.id, 0, Infinity, operation === 'erase');
    if (use === undefined ? session.isBusy : session.calls.conflicts(use)) return WAIT;
    // Several names of one target are handled at one moment, as in Redis.
    const areNames = named.every(({ served, id }) => served === one && typeof id === 'string');
    if (isAlone && areNames && one.target.capabilities.transactional) return together(request, session);
    return session.calls.operate({
      operation,
      served: one,
      use,
      isAlone,
      bytes: 0,
      kept: session.memory.keepList(named.length),
      call: async () => {
        let count = 0;
        // Safe: nothing is known of a region before its own call, and a target that is closed by
        // then refuses the call.
        for (const { served, id } of named) {
          try {
            count += await isThere(served, id, operation);
          } catch (error) {
            throw operation === 'erase' ? failedAfter(count, named.length, error) : error;
          }
        }
        return count;
      },
      answer: (count, to) => (to.head = `:${count}\r\n`),
    });
  };
}

async function isThere({ target }: ServedTarget, id: RegionRef, operation: 'erase' | 'stat'): Promise<0 | 1> {
  try {
    await target[operation](id);
    return 1;
  } catch (error) {
    if (error instanceof BedrockError && error.code === 'REGION_NOT_FOUND') return 0;
    throw error;
  }
}

/** The error when several regions are erased, with the number that were erased before it. */
function failedAfter(erased: number, named: number, cause: unknown): BedrockError {
  const { code, message, details } = asBedrockError(cause);
  return new BedrockError(code, `${message}; ${erased} of ${named} regions were erased before`, {
    details: { ...details, erased },
    cause,
  });
}

const blobStat = stat(
  ({ id, size, createdAt, name }) =>
    new ReplyMap([
      ['id', id.toString()],
      ['size', size],
      ['createdAt', createdAt],
      ...(name === undefined ? [] : [['name', name] as const]),
    ]),
);

const sizeOfRegion = stat(({ size }) => size);
const sizeOfName = look((found, session) => session.replies.line(`:${found?.size ?? 0}\r\n`), strLen);

/** STRLEN key */
const size: Run = (request, session) =>
  typeof request.ref(1) === 'string' ? sizeOfName(request, session) : sizeOfRegion(request, session);

const group = 'generic';
const DELETES = { ...CHANGES_ALL, step: del, group } as const;

export const LIFE_COMMANDS: readonly Command[] = [
  command('blob.create', [2, 9], create, 'Creates a region; returns its ID.', { ...CHANGES, of: 'names' }),
  command('blob.persist', [2, MANY], persist, 'Makes a region, or parts of it, durable.', CHANGES_ONE),
  command('blob.erase', [2, 2], erase, 'Removes a region.', CHANGES_ONE),
  command('blob.stat', [2, 2], blobStat, 'Returns the size and time of creation of a region.', READS_ONE),
  command('strlen', [2, 2], size, 'Returns the size of a value or region.', {
    ...READS_ONE,
    step: strLen,
    group: 'string',
  }),
  command('del', [2, MANY], countOf('erase', del), 'Removes regions; returns how many there were.', DELETES),
  command('unlink', [2, MANY], countOf('erase', del), 'The same as DEL.', DELETES),
  command('exists', [2, MANY], countOf('stat', exists), 'Returns how many of the regions exist.', {
    ...READS_ALL,
    step: exists,
    group,
  }),
];
