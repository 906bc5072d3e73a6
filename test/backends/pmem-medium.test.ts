/** The medium over a mapping that writes down what is asked of it: stores that share a drain. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { PmemMedium } from '../../backends/pmem/pmem-medium.js';
import type { PoolFileIo } from '../../core/index.js';
import type { Mapping } from '../../native/index.js';

const BYTES = Buffer.from('some bytes');

class NotedMapping {
  readonly calls: string[] = [];
  readonly size = 2 ** 24;
  readonly mode: string;
  failure: Error | undefined;

  constructor(readonly isPmem: boolean) {
    this.mode = isPmem ? 'pmem' : 'msync';
  }

  copy(offset: number): void {
    this.calls.push(`copy ${offset}`);
  }

  drain(): undefined {
    this.calls.push('drain');
    if (this.failure !== undefined) throw this.failure;
    return undefined;
  }
}

function mediumOver(mapping: NotedMapping): PmemMedium {
  const io = { checkSound: () => undefined } as unknown as PoolFileIo;
  return new PmemMedium({ io, mapping: mapping as unknown as Mapping, syncWrites: true });
}

describe('stores that are durable a turn later', () => {
  let mapping: NotedMapping;
  let medium: PmemMedium;

  beforeEach(() => {
    mapping = new NotedMapping(true);
    medium = mediumOver(mapping);
  });

  it('are made within the call, and resolve after one drain for all of a turn', async () => {
    const stores = [medium.storeDurably(0, BYTES), medium.storeDurably(64, BYTES)];
    expect(mapping.calls).toEqual(['copy 0', 'copy 64']);
    await stores[0];
    expect(mapping.calls).toEqual(['copy 0', 'copy 64', 'drain']);
    await stores[1];
    expect(mapping.calls).toHaveLength(3);
  });

  it('are never taken for durable by a drain that went before them', async () => {
    const first = medium.storeDurably(0, BYTES);
    const second = first?.then(() => medium.storeDurably(64, BYTES));
    await second;
    expect(mapping.calls).toEqual(['copy 0', 'drain', 'copy 64', 'drain']);
  });

  it('all fail with the drain, and the next ones have a drain of their own', async () => {
    mapping.failure = new Error('the mapping is closed');
    const stores = [medium.storeDurably(0, BYTES), medium.storeDurably(64, BYTES)];
    for (const store of stores) await expect(store).rejects.toBe(mapping.failure);
    mapping.failure = undefined;
    await medium.storeDurably(128, BYTES);
    expect(mapping.calls).toEqual(['copy 0', 'copy 64', 'drain', 'copy 128', 'drain']);
  });

  it('are left to writes where they would hold up the event loop, or are none of memory', () => {
    expect(medium.storeDurably(0, Buffer.alloc(2 ** 23))).toBeUndefined();
    const onDisk = new NotedMapping(false);
    expect(mediumOver(onDisk).storeDurably(0, BYTES)).toBeUndefined();
    expect([...mapping.calls, ...onDisk.calls]).toEqual([]);
  });
});
