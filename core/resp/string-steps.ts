/**
 * The commands of Redis on strings, as steps. With an ID, in commands that only read, the rules of
 * regions apply.
 */
import type { Arguments } from './arguments.js';
import { Contents } from './contents.js';
import { rangeBetween } from './region-arguments.js';
import { RedisFault, SYNTAX, wrongArity } from './redis-fault.js';
import { OK, type Reply } from './replies.js';
import type { Step, Stepping } from './step.js';
import { nameOf } from './steps.js';
import { BedrockError, invalid } from '../base/errors.js';
import { checkRange } from '../targets/arguments.js';

const TOO_LONG = 'string exceeds maximum allowed size (proto-max-bulk-len)';
const NO_BYTES = new Uint8Array(0);

// ---- SET and similar ----

export interface SetOptions {
  readonly when: 'always' | 'absent' | 'present';
  /** Whether the reply is the old value. */
  readonly get: boolean;
}

export const PLAIN_SET: SetOptions = { when: 'always', get: false };

const EXPIRY = ['ex', 'px', 'exat', 'pxat'];

/** The options after the value of SET. @throws RedisFault, NOT_SUPPORTED */
export function setOptions(request: Pick<Arguments, 'count' | 'isWord'>): SetOptions {
  if (request.count === 3) return PLAIN_SET;
  let when: SetOptions['when'] = 'always';
  let get = false;
  for (let index = 3; index < request.count; index++) {
    if (request.isWord(index, 'nx') && when !== 'present') when = 'absent';
    else if (request.isWord(index, 'xx') && when !== 'absent') when = 'present';
    else if (request.isWord(index, 'get')) get = true;
    // Nothing expires, so a key always keeps its remaining time.
    else if (!request.isWord(index, 'keepttl')) {
      const word = EXPIRY.find((each) => request.isWord(index, each));
      if (word === undefined) throw new RedisFault(SYNTAX);
      throw new BedrockError(
        'NOT_SUPPORTED',
        `SET has no ${word.toUpperCase()} here, as keys do not expire; send it without, and DEL the key later`,
      );
    }
  }
  return { when, get };
}

async function setWith(args: Arguments, at: Stepping, index: number, options: SetOptions): Promise<Reply> {
  const { when, get } = options;
  const name = nameOf(args, 1);
  const isLookedAt = get || when !== 'always';
  const before = isLookedAt ? await at.view.contents(name) : undefined;
  const old = get && before !== undefined ? await at.bulk(before) : null;
  if (when === 'absent' ? before !== undefined : when === 'present' && before === undefined) return old;
  // Safe: what was looked at is a condition of the change.
  at.view.put(name, Contents.of(args.bytes(index)));
  return get ? old : OK;
}

export const set: Step = async (args, at) => setWith(args, at, 2, setOptions(args));

export const getSet: Step = async (args, at) => setWith(args, at, 2, { when: 'always', get: true });

export const setNx: Step = async (args, at) =>
  (await setWith(args, at, 2, { when: 'absent', get: false })) === null ? 0 : 1;

/** The names and values of MSET. @throws RedisFault */
function pairs(args: Arguments, command: string): { name: string; contents: Contents }[] {
  if (args.count % 2 === 0) throw wrongArity(command);
  const found: { name: string; contents: Contents }[] = [];
  for (let index = 1; index < args.count; index += 2)
    found.push({ name: nameOf(args, index), contents: Contents.of(args.bytes(index + 1)) });
  return found;
}

// oxlint-disable-next-line typescript/require-await -- what it throws must reject
export const mset: Step = async (args, { view }) => {
  for (const { name, contents } of pairs(args, 'mset')) view.put(name, contents);
  return OK;
};

export const msetNx: Step = async (args, { view }) => {
  const all = pairs(args, 'msetnx');
  for (const { name } of all) if ((await view.contents(name)) !== undefined) return 0;
  for (const { name, contents } of all) view.put(name, contents);
  return 1;
};

// ---- GET and similar ----

export const get: Step = async (args, at) => {
  const contents = await at.view.contents(args.ref(1));
  return contents === undefined ? null : at.bulk(contents);
};

export const mget: Step = async (args, at) => {
  const found: Reply[] = [];
  for (let index = 1; index < args.count; index++) {
    const contents = await at.view.contents(args.ref(index));
    found.push(contents === undefined ? null : await at.bulk(contents));
  }
  return found;
};

export const getDel: Step = async (args, at) => {
  const name = nameOf(args, 1);
  const contents = await at.view.contents(name);
  if (contents === undefined) return null;
  const bytes = await at.bulk(contents);
  await at.view.erase(name);
  return bytes;
};

export const strLen: Step = async (args, { view }) => (await view.contents(args.ref(1)))?.size ?? 0;

export const getRange: Step = async (args, at) => {
  const ref = args.ref(1);
  const start = args.position(2);
  const end = args.position(3);
  const contents = await at.view.contents(ref);
  if (contents === undefined) return NO_BYTES;
  if (typeof ref === 'string') {
    const [from, to] = clamped(start, end, contents.size);
    return at.bulk(contents.slice(from, to));
  }
  const { offset, size } = rangeBetween(start, end, contents.size);
  checkRange('read', offset, size, contents.size);
  return at.bulk(contents.slice(offset, offset + size));
};

/**
 * The range that two positions of GETRANGE mean in `size` bytes: the first byte, and the one after
 * the last.
 */
export function clamped(start: number, end: number, size: number): readonly [from: number, to: number] {
  if (start < 0 && end < 0 && start > end) return [0, 0];
  const from = Math.max(0, start < 0 ? size + start : start);
  const last = Math.min(size - 1, Math.max(0, end < 0 ? size + end : end));
  return from > last ? [0, 0] : [from, last + 1];
}

// ---- changes of parts ----

export const append: Step = async (args, { view, maxBulkBytes }) => {
  const name = nameOf(args, 1);
  const before = (await view.contents(name)) ?? Contents.empty;
  const contents = Contents.join(before, Contents.of(args.bytes(2)));
  if (before.size > 0 && contents.size > maxBulkBytes) throw new RedisFault(TOO_LONG);
  view.put(name, contents);
  return contents.size;
};

export const setRange: Step = async (args, { view, maxBulkBytes }) => {
  const ref = args.ref(1);
  const offset = args.position(2);
  const bytes = args.bytes(3);
  if (offset < 0) throw new RedisFault('offset is out of range');
  const before = (await view.contents(ref)) ?? Contents.empty;
  if (typeof ref !== 'string') {
    checkRange('write', offset, bytes.length, before.size);
    await view.write(ref, offset, bytes);
    return before.size;
  }
  if (bytes.length === 0) return before.size;
  if (offset + bytes.length > maxBulkBytes) throw new RedisFault(TOO_LONG);
  const contents = before.overwritten(offset, Contents.of(bytes));
  view.put(ref, contents);
  return contents.size;
};

// ---- keys ----

/** How many of the arguments name a region. A region that is named twice counts twice. */
export const exists: Step = async (args, { view }) => {
  let count = 0;
  for (let index = 1; index < args.count; index++) count += (await isThere(args, index, view)) ? 1 : 0;
  return count;
};

export const del: Step = async (args, { view }) => {
  let count = 0;
  for (let index = 1; index < args.count; index++) {
    if (!(await isThere(args, index, view))) continue;
    await view.erase(args.ref(index));
    count++;
  }
  return count;
};

async function isThere(args: Arguments, index: number, view: Stepping['view']): Promise<boolean> {
  try {
    return (await view.contents(args.ref(index))) !== undefined;
  } catch (error) {
    if (error instanceof BedrockError && error.code === 'REGION_NOT_FOUND') return false;
    throw error;
  }
}

export const rename: Step = async (args, { view }) => {
  const ref = args.ref(1);
  const to = nameOf(args, 2);
  if ((await view.contents(ref)) === undefined) throw new RedisFault('no such key');
  if (ref !== to) await view.rename(ref, to);
  return OK;
};

export const renameNx: Step = async (args, { view }) => {
  const ref = args.ref(1);
  const to = nameOf(args, 2);
  if ((await view.contents(ref)) === undefined) throw new RedisFault('no such key');
  if (ref === to || (await view.contents(to)) !== undefined) return 0;
  await view.rename(ref, to);
  return 1;
};

export const copy: Step = async (args, { view }) => {
  const ref = args.ref(1);
  const to = nameOf(args, 2);
  const replace = args.count > 3 && args.isWord(3, 'replace');
  for (let index = 3; index < args.count; index++) {
    if (args.isWord(index, 'db')) throw invalid('COPY has no DB here: both keys are in one target');
    if (!args.isWord(index, 'replace')) throw new RedisFault(SYNTAX);
  }
  if (ref === to) throw new RedisFault('source and destination objects are the same');
  const contents = await view.contents(ref);
  if (contents === undefined) return 0;
  if (!replace && (await view.contents(to)) !== undefined) return 0;
  view.put(to, contents);
  return 1;
};
