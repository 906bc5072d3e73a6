/** The medium over a mapping that writes down what is asked of it: stores that share a drain. */
import { beforeEach, describe, expect, it } from '@jest/globals';
import { PmemMedium } from '../../backends/pmem/pmem-medium.js';
import { BedrockError, type MediumRange, type PoolFileIo } from '../../core/index.js';
import type { Mapping } from '../../native/index.js';
import { Gate } from '../fixtures/gate.js';

const BYTES = Buffer.from('some bytes');

class NotedMapping {
  readonly calls: string[] = [];
  readonly size = 2 ** 24;
  readonly mode: string;
  failure: Error | undefined;
  isLost = false;
  /** Jobs of the thread pool that clear wait behind it. */
  readonly clearing = new Gate();
  /** What meets the first lost page. */
  onLoad: () => void = () => undefined;
  jobs = 0;
  mostJobs = 0;

  constructor(readonly isPmem: boolean) {
    this.mode = isPmem ? 'pmem' : 'msync';
  }

  copy(offset: number): void {
    this.calls.push(`copy ${offset}`);
  }

  persistRanges(ranges: readonly MediumRange[]): undefined {
    this.calls.push(`ranges ${ranges.length}`);
    return undefined;
  }

  async persistAsync(offset: number, size: number): Promise<void> {
    this.calls.push(`job ${offset}+${size}`);
    this.mostJobs = Math.max(this.mostJobs, ++this.jobs);
    await Promise.resolve();
    this.jobs--;
  }

  view(_offset: number, length: number): Uint8Array {
    if (this.isLost) throw this.#lost();
    this.onLoad();
    return Buffer.alloc(length, 'm');
  }

  async fillAsync(): Promise<void> {
    await this.clearing.pass();
    if (this.isLost) throw this.#lost();
  }

  #lost(): Error {
    return Object.assign(new Error('a part of the mapped file is lost'), { code: 'EIO' });
  }

  measureWith(): void {}

  /** Nothing is collected here. */
  storeList(): { readonly length: number } {
    return { length: 0 };
  }

  drain(): undefined {
    this.calls.push('drain');
    if (this.failure !== undefined) throw this.failure;
    return undefined;
  }
}

function mediumOver(mapping: NotedMapping): PmemMedium {
  const io = {
    checkSound: () => undefined,
    certainly: (step: Promise<void>) => step,
    look: () => Promise.resolve(),
  } as unknown as PoolFileIo;
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

describe('many ranges that are made durable', () => {
  const LARGE = 2 ** 21;
  const apart = (count: number, size: number): MediumRange[] =>
    Array.from({ length: count }, (_, index) => ({ offset: index * 2 * size, size }));

  it('of few bytes are flushed within the call', () => {
    const mapping = new NotedMapping(true);
    expect(mediumOver(mapping).persist(apart(100, 64))).toBeUndefined();
    expect(mapping.calls).toEqual(['ranges 100']);
  });

  it('take one job of the thread pool at a time, and only those that are large', async () => {
    const mapping = new NotedMapping(true);
    const small = apart(20_000, 1);
    await mediumOver(mapping).persist([...small, ...apart(3, LARGE), ...apart(2, 64)]);
    expect(mapping.mostJobs).toBe(1);
    const flushes = mapping.calls.filter((call) => call.startsWith('ranges'));
    expect(mapping.calls.filter((call) => call.startsWith('job'))).toHaveLength(3);
    // Each costs more than its byte, so that they are not flushed all at once.
    expect(flushes.length).toBeGreaterThan(2);
    expect(flushes.reduce((sum, call) => sum + Number(call.slice('ranges '.length)), 0)).toBe(20_002);
  });

  it('are one msync of what they span where the medium is a disk', async () => {
    const mapping = new NotedMapping(false);
    await mediumOver(mapping).persist(apart(50, LARGE));
    expect(mapping.calls).toEqual([`job 0+${99 * LARGE}`]);
  });
});

describe('reads of a mapping that has lost pages', () => {
  const GONE = new BedrockError('READ_ONLY', 'the file was cut off');
  let mapping: NotedMapping;
  let medium: PmemMedium;
  let isSound: boolean;

  beforeEach(() => {
    mapping = new NotedMapping(true);
    isSound = true;
    const fail = (): Error => {
      isSound = false;
      return GONE;
    };
    const io = {
      get isSound() {
        return isSound;
      },
      checkSound: () => undefined,
      certainly: (step: Promise<void>) => step,
      look: () => Promise.reject(fail()),
      failMapping: fail,
      readNow: () => false,
      read: (_offset: number, into: Uint8Array) => Promise.resolve(void into.fill('f'.charCodeAt(0))),
    } as unknown as PoolFileIo;
    medium = new PmemMedium({ io, mapping: mapping as unknown as Mapping, syncWrites: true });
  });

  async function readByte(bytes = 1): Promise<string> {
    const into = Buffer.alloc(bytes);
    await medium.read(0, into);
    return into.subarray(-1).toString();
  }

  it('go by read(2), though the job that met the loss has not ended, and a look has failed the pool before', async () => {
    expect(await readByte()).toBe('m');
    mapping.clearing.shut();
    const cleared = medium.clear(0, 2 ** 22);
    await expect(cleared).rejects.toBe(GONE);
    expect(isSound).toBe(false);
    expect(medium.isDirect).toBe(true);
    expect(await readByte()).toBe('m');
    // The thread has met the lost page; that its job has ended is told later.
    mapping.isLost = true;
    expect(await readByte()).toBe('f');
    expect(medium.isDirect).toBe(false);
    mapping.clearing.open();
  });

  it('begin nothing where they must be done at once, when the loss came since it was asked whether they can', async () => {
    const into = Buffer.alloc(1, '-');
    expect(medium.readNow(0, into)).toBe(true);
    expect(into.toString()).toBe('m');
    let asked = 0;
    Object.defineProperty(mapping, 'isLost', { get: () => ++asked > 1 });
    expect(medium.isDirect).toBe(true);
    expect(medium.readNow(0, into.fill('-'))).toBe(false);
    await readByte();
    expect(into.toString()).toBe('-');
  });

  it('go by read(2) from the piece on before which the loss came', async () => {
    const many = 3 * 2 ** 22;
    const reading = readByte(many);
    mapping.isLost = true;
    expect(await reading).toBe('f');
  });

  it('are told that bytes are lost where the read has met the loss itself, and never that the pool takes no changes', async () => {
    mapping.onLoad = () => (mapping.isLost = true);
    expect(() => medium.read(0, Buffer.alloc(1))).toThrow(expect.objectContaining({ code: 'POOL_CORRUPT' }));
    expect(isSound).toBe(false);
    expect(await readByte()).toBe('f');
  });

  it('are told the same where another thread meets it between the check and the load', () => {
    let asked = 0;
    Object.defineProperty(mapping, 'isLost', { get: () => ++asked > 1 });
    expect(() => medium.read(0, Buffer.alloc(1))).toThrow(expect.objectContaining({ code: 'POOL_CORRUPT' }));
  });
});
