/** What commands have in common: how they name regions and ranges, and what they refuse. */
import { BedrockError } from '../base/errors.js';
import type { RegionRange } from '../contract/target.js';
import type { CommandClient } from './command.js';
import type { Place } from './operation-call.js';
import type { Request } from './request.js';

export const OK_LINE = '+OK\r\n';

/** Arity without an upper bound. */
export const MANY = Infinity;
/** The first argument names a region. */
export const ONE = [1, 1, 1] as const;
/** All arguments name regions. */
export const ALL = [1, -1, 1] as const;

export function invalid(message: string): BedrockError {
  return new BedrockError('INVALID_ARGUMENT', message);
}

/** The target that an argument names a region of. */
export function placeOf(request: Request, client: CommandClient, index = 1): Place {
  return client.place(request.prefixOf(index));
}

/** The pairs of numbers from the third argument on. */
export function rangesOf(request: Request): RegionRange[] {
  if (request.count % 2 !== 0) throw invalid('an offset without a size');
  const ranges: RegionRange[] = [];
  for (let index = 2; index < request.count; index += 2)
    ranges.push({ offset: request.size(index, 'offset'), size: request.size(index + 1, 'size') });
  return ranges;
}

/** Whether the arguments from `index` on are the word PERSIST, and nothing else. */
export function isPersistent(request: Request, index: number): boolean {
  if (request.count === index) return false;
  if (request.count === index + 1 && request.isWord(index, 'persist')) return true;
  throw invalid(
    `after the bytes only PERSIST may stand, not ${JSON.stringify(request.text(index).slice(0, 32))}`,
  );
}

/** What may stand at the end of a command that makes a region. */
export interface CreationOptions {
  readonly persist: boolean;
  readonly place: Place;
}

/** `[PERSIST] [AT provider[.target]]`, from the argument at `from` on. */
export function creationOptions(request: Request, client: CommandClient, from: number): CreationOptions {
  let persist = false;
  let prefix = '';
  for (let index = from; index < request.count; index++) {
    if (request.isWord(index, 'persist')) persist = true;
    else if (request.isWord(index, 'at') && index + 1 < request.count) prefix = `${request.text(++index)}/`;
    else
      throw invalid(
        `only PERSIST and AT provider may stand there, not ${JSON.stringify(request.text(index).slice(0, 32))}`,
      );
  }
  return { persist, place: client.place(prefix) };
}
