/**
 * A medium that is an array, for tests that open thousands of pools. Pages can be made unreadable;
 * a write makes them whole again.
 */
import type { PoolMedium } from '../../core/pool/medium.js';
import type { RepairMedium } from '../../core/pool/repair.js';
import type { Eventually } from '../../core/targets/lifecycle.js';

const PAGE_BYTES = 4096;

export class MemoryMedium implements PoolMedium, RepairMedium {
  readonly mode = 'volatile';
  bytes: Buffer;
  /** Numbers of the pages that cannot be read. */
  readonly lostPages: Set<number>;

  constructor(bytes: Uint8Array, lostPages: Iterable<number> = []) {
    this.bytes = Buffer.from(bytes);
    this.lostPages = new Set(lostPages);
  }

  get size(): number {
    return this.bytes.length;
  }

  read(offset: number, into: Uint8Array): undefined {
    if (offset < 0 || offset + into.length > this.size) throw new Error('the end of the medium');
    for (const page of this.#pagesOf(offset, into.length))
      if (this.lostPages.has(page)) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    this.bytes.copy(into, 0, offset, offset + into.length);
  }

  write(offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > this.size) this.extend(offset + bytes.length);
    this.bytes.set(bytes, offset);
    for (const page of this.#pagesOf(offset, bytes.length)) this.lostPages.delete(page);
  }

  writeDurably(offset: number, bytes: Uint8Array): Eventually<void> {
    this.write(offset, bytes);
  }

  stage(offset: number, bytes: Uint8Array): Eventually<void> {
    this.write(offset, bytes);
  }

  stageWord(offset: number, word: bigint): Eventually<void> {
    this.bytes.writeBigUInt64LE(word, offset);
  }

  publish(offset: number, descriptor: Uint8Array): Eventually<void> {
    this.write(offset, descriptor);
  }

  publishWord(offset: number, word: bigint): Eventually<void> {
    this.bytes.writeBigUInt64LE(word, offset);
  }

  clear(offset: number, length: number): void {
    this.bytes.fill(0, offset, offset + length);
  }

  allocate(): undefined {
    return undefined;
  }

  persist(): undefined {
    return undefined;
  }

  barrier(): void {
    // Everything is as durable as it gets.
  }

  grow(): undefined {
    return undefined;
  }

  extend(size: number): void {
    this.bytes = Buffer.concat([this.bytes, Buffer.alloc(size - this.size)]);
  }

  truncate(size: number): void {
    this.bytes = this.bytes.subarray(0, size);
  }

  close(): undefined {
    return undefined;
  }

  #pagesOf(offset: number, length: number): number[] {
    if (this.lostPages.size === 0 || length === 0) return [];
    const first = Math.floor(offset / PAGE_BYTES);
    const last = Math.floor((offset + length - 1) / PAGE_BYTES);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  }
}
