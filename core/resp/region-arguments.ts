/** What commands share: how they name regions and ranges, and what they refuse. */
import { BedrockError, invalid } from '../base/errors.js';
import type { PutOptions, RegionRef } from '../contract/names.js';
import type { RegionRange } from '../contract/target.js';
import { type CommandSession, type Run, WAIT } from './command.js';
import { RegionUse } from './conflicts.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { Request } from './request.js';

export const OK_LINE = '+OK\r\n';

/** The target of the region that an argument names. */
export function servedOf(request: Request, session: CommandSession, index = 1): ServedTarget {
  return session.served(request.prefixOf(index));
}

/** The region of a command, and what the command does to all of its bytes. */
interface WholeRegion {
  readonly served: ServedTarget;
  readonly id: RegionRef;
  readonly use: RegionUse;
}

/**
 * A command on one whole region, its first argument. It begins when no earlier request that
 * conflicts with it is in flight.
 */
export function onRegion(
  isChange: boolean,
  begin: (region: WholeRegion, request: Request, session: CommandSession) => undefined,
): Run {
  return (request, session) => {
    const served = servedOf(request, session);
    const id = request.ref(1);
    const use = new RegionUse(served.target, id, 0, Infinity, isChange);
    return session.calls.conflicts(use) ? WAIT : begin({ served, id, use }, request, session);
  };
}

/** The most regions or names in a page. */
export const MAX_COUNT = 10_000;

export function countArgument(request: Request, index: number): number {
  const count = request.size(index, 'COUNT');
  if (count >= 1 && count <= MAX_COUNT) return count;
  throw invalid(`COUNT is ${count}; it must be from 1 to ${MAX_COUNT}`);
}

/**
 * An argument that must be a name, where an ID is not allowed. The part that chooses a target is
 * left out.
 * @throws INVALID_ARGUMENT
 */
export function nameArgument(request: Request, index: number): string {
  const ref = request.ref(index);
  if (typeof ref === 'string') return ref;
  throw invalid('a name is needed here, and 32 hexadecimal digits are an ID');
}

/** `[ABSENT | IF id]`, starting at the argument `from`, to the end. @throws INVALID_ARGUMENT */
export function putCondition(request: Request, from: number): PutOptions | undefined {
  const count = request.count - from;
  if (count === 0) return undefined;
  if (count === 1 && request.isWord(from, 'absent')) return ABSENT;
  if (count === 2 && request.isWord(from, 'if')) return { if: request.regionId(from + 1) };
  throw invalid('only ABSENT or IF id may follow');
}

const ABSENT: PutOptions = { if: 'absent' };

/** The pairs of numbers from the third argument on. */
export function rangesOf(request: Request): RegionRange[] {
  if (request.count % 2 !== 0) throw invalid('an offset has no size after it');
  const ranges: RegionRange[] = [];
  for (let index = 2; index < request.count; index += 2)
    ranges.push({ offset: request.size(index, 'offset'), size: request.size(index + 1, 'size') });
  return ranges;
}

/** Whether the arguments from `index` on are only the word PERSIST. */
export function isPersistent(request: Request, index: number): boolean {
  if (request.count === index) return false;
  if (request.count === index + 1 && request.isWord(index, 'persist')) return true;
  throw invalid(`only PERSIST may follow the bytes, not ${JSON.stringify(request.text(index).slice(0, 32))}`);
}

/**
 * The range of two positions of GETRANGE, both inclusive; negative ones count from the end of the
 * region.
 * @throws OUT_OF_RANGE
 */
export function rangeBetween(start: number, end: number, regionSize: number): RegionRange {
  const from = start < 0 ? regionSize + start : start;
  const to = end < 0 ? regionSize + end : end;
  if (from < 0 || to < -1)
    throw new BedrockError(
      'OUT_OF_RANGE',
      `${from < 0 ? start : end} is before the first of ${regionSize} bytes`,
    );
  return { offset: from, size: Math.max(0, to - from + 1) };
}

/** Options at the end of a command that creates a region. */
export interface CreationOptions {
  readonly persist: boolean;
  /** Name for the new region. */
  readonly name: string | undefined;
  readonly served: ServedTarget;
}

/** `[PERSIST] [NAME name] [AT provider[.target]]`, starting at the argument `from`. */
export function creationOptions(request: Request, session: CommandSession, from: number): CreationOptions {
  let persist = false;
  let name: string | undefined;
  let prefix = '';
  for (let index = from; index < request.count; index++) {
    if (request.isWord(index, 'persist')) persist = true;
    else if (request.isWord(index, 'name') && index + 1 < request.count)
      name = nameArgument(request, ++index);
    else if (request.isWord(index, 'at') && index + 1 < request.count) prefix = `${request.text(++index)}/`;
    else
      throw invalid(
        `only PERSIST, NAME name and AT provider may follow, not ${JSON.stringify(request.text(index).slice(0, 32))}`,
      );
  }
  return { persist, name, served: session.served(prefix) };
}
