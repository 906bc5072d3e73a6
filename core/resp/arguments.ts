/**
 * The arguments of a request that is still needed after its bytes have left the input: copies, or
 * buffers that were taken over.
 */
import type { RegionRef } from '../contract/names.js';
import { NOT_AN_INTEGER, RedisFault } from './redis-fault.js';
import { integerAt, positionAt } from './redis-integers.js';
import { prefixAt, refAt } from './region-key.js';

export class Arguments {
  /** @param all the arguments of the command, including its name */
  constructor(private readonly all: readonly Buffer[]) {}

  get count(): number {
    return this.all.length;
  }

  bytes(index: number): Buffer {
    return this.all[index] as Buffer;
  }

  text(index: number): string {
    return this.bytes(index).toString('utf8');
  }

  /** @param word in lower case */
  isWord(index: number, word: string): boolean {
    const bytes = this.bytes(index);
    return bytes.length === word.length && bytes.toString('latin1').toLowerCase() === word;
  }

  /** The region that an argument names. @throws INVALID_ARGUMENT */
  ref(index: number): RegionRef {
    const bytes = this.bytes(index);
    return refAt(bytes, 0, bytes.length);
  }

  /** The part of the argument that chooses the region's target. */
  prefix(index: number): string {
    const bytes = this.bytes(index);
    return prefixAt(bytes, 0, bytes.length);
  }

  /** A 64-bit integer. @throws RedisFault */
  integer(index: number): number | bigint {
    const bytes = this.bytes(index);
    const value = integerAt(bytes, 0, bytes.length);
    if (value === undefined) throw new RedisFault(NOT_AN_INTEGER);
    return value;
  }

  /** A number of bytes, an integer from 0 up. @throws RedisFault */
  size(index: number): number {
    const value = this.position(index);
    if (value < 0 || !Number.isSafeInteger(value)) throw new RedisFault(NOT_AN_INTEGER);
    return value;
  }

  /** A position in contents, an integer from 0 up. @throws RedisFault */
  position(index: number): number {
    const bytes = this.bytes(index);
    const value = positionAt(bytes, 0, bytes.length);
    if (value === undefined) throw new RedisFault(NOT_AN_INTEGER);
    return value;
  }
}
