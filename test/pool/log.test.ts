/** The log of a pool: its records, and what opens, checks and repairs make of them. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { copyFile, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspectPool } from '../../core/pool/inspection.js';
import { checkPool, notesOf } from '../../core/pool/check.js';
import { poolInfo } from '../../core/pool/pool-info.js';
import { decodeLogRecord, LOG_BLOCK_BYTES, LogRecord } from '../../core/pool/log-record.js';
import { addonState } from '../../native/load.js';
import { poolFolder, poolTarget } from '../backends/pool-factory.js';

const POOL = { poolLow: 7, poolHigh: 9 };
const MIB = 2 ** 20;

describe('a record of the log', () => {
  const filled = (): LogRecord => {
    const record = new LogRecord();
    record.add(8192, Buffer.from('contents'));
    record.add(8200, Buffer.from('and a name'));
    record.addZeros(65_536, 4096);
    record.add(12_288, Buffer.from('word'));
    return record;
  };
  /** Without the zeros at the end. */
  const unpadded = (bytes: Buffer): Buffer => bytes.subarray(0, Number(bytes.readBigUInt64LE(16)));

  it('has all stores in their order, and takes whole blocks', () => {
    const bytes = filled().finish(5, POOL);
    expect(bytes.length).toBe(LOG_BLOCK_BYTES);
    const entries = decodeLogRecord(unpadded(bytes), POOL);
    expect(entries?.map(({ offset, bytes: { length } }) => [offset, length])).toEqual([
      [8192, 18],
      [65_536, 4096],
      [12_288, 4],
    ]);
    expect(Buffer.from(entries?.[0]?.bytes ?? []).toString()).toBe('contentsand a name');
    expect(entries).toEqual(filled().entries());
  });

  it('grows with what it holds', () => {
    const record = new LogRecord();
    for (let nth = 0; nth < 100; nth++) record.add(8192 + 1000 * nth, Buffer.alloc(900, nth));
    const entries = decodeLogRecord(unpadded(record.finish(1, POOL)), POOL) ?? [];
    expect(entries.length).toBe(100);
    expect(entries.every(({ bytes }, nth) => bytes.every((byte) => byte === nth))).toBe(true);
  });

  it('does not count if a byte of it is another one, or in another pool', () => {
    const bytes = Buffer.from(unpadded(filled().finish(5, POOL)));
    expect(decodeLogRecord(bytes, { ...POOL, poolLow: 8 })).toBeUndefined();
    for (let at = 0; at < bytes.length; at += 5) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 1;
      expect(decodeLogRecord(changed, POOL)).toBeUndefined();
    }
  });
});

// ext2 to ext4, XFS, tmpfs: where a pool may have a log.
const canHaveLog = [0xef53, 0x5846_5342, 0x0102_1994].includes((await statfs(tmpdir())).type);
const withLog = addonState().attributes === undefined || !canHaveLog ? describe.skip : describe;

withLog('a file pool with a log', () => {
  let home: string;
  beforeEach(async () => {
    home = await poolFolder();
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  const inspect = async (file: string) => {
    const handle = await open(file);
    try {
      const { size } = await handle.stat();
      const inspection = await inspectPool({
        size,
        read: async (offset, into) => {
          await handle.read(into, 0, into.length, offset);
        },
      });
      if ('refusal' in inspection.headers) throw inspection.headers.refusal;
      return {
        info: poolInfo(inspection, inspection.headers),
        notes: notesOf(inspection).join('\n'),
        findings: [...checkPool(inspection)],
      };
    } finally {
      await handle.close();
    }
  };

  it('gets it with the first name, and shows its records until they are stored in place', async () => {
    const file = path.join(home, 'pool');
    const target = await poolTarget('file', { path: file, create_if_missing_with_size: 16 * MIB }, home);
    await target.open();
    await target.createAndWrite(Buffer.from('no name'), { persist: true });
    expect((await inspect(file)).info).toMatchObject({ log: null, features: { incompatible: 0 } });
    await target.put('a', Buffer.from('one'));
    await Promise.all([target.put('a', Buffer.from('two')), target.put('b', Buffer.from('three'))]);
    await target.rename('b', 'c');
    await target.put('large', Buffer.alloc(100_000, 1));
    // As a crash would leave it.
    const copy = path.join(home, 'copy');
    await copyFile(file, copy);
    await target.close();

    const before = await inspect(copy);
    expect(before.info).toMatchObject({ names: 3, log: { bytes: 2 ** 19 } });
    expect(before.info.features.incompatible & 16).toBe(16);
    expect(before.info.log?.pendingRecords).toBeGreaterThan(0);
    expect(before.notes).toMatch(/the log has \d+ records/);
    expect(before.findings).toEqual([]);

    const reading = await poolTarget('file', { path: copy, read_only: true }, home);
    await reading.open();
    expect(Buffer.from(await reading.read('a', 0, 3)).toString()).toBe('two');
    await reading.close();
    expect((await inspect(copy)).info).toEqual(before.info);

    const after = await poolTarget('file', { path: copy }, home);
    await after.open();
    expect(Buffer.from(await after.read('c', 0, 5)).toString()).toBe('three');
    expect((await after.read('large', 0, 100_000)).every((byte) => byte === 1)).toBe(true);
    await after.put('c', Buffer.from('four'));
    await after.close();
    const { info, notes } = await inspect(copy);
    expect(info).toMatchObject({ names: 3, log: { pendingRecords: 0 } });
    expect(notes).toBe('');
    expect((await inspect(file)).info.log).toEqual(info.log);
  });

  it('is taken over by pmem, with what the log holds', async () => {
    const file = path.join(home, 'pool');
    const target = await poolTarget('file', { path: file, create_if_missing_with_size: 16 * MIB }, home);
    await target.open();
    await target.put('a', Buffer.from('one'));
    await target.put('a', Buffer.from('two'));
    const copy = path.join(home, 'copy');
    await copyFile(file, copy);
    await target.close();
    const pmem = await poolTarget('pmem', { path: copy }, home);
    await pmem.open();
    expect(Buffer.from(await pmem.read('a', 0, 3)).toString()).toBe('two');
    await pmem.put('a', Buffer.from('six'));
    await pmem.close();
    expect((await inspect(copy)).info.log?.pendingRecords).toBe(0);
    const again = await poolTarget('file', { path: copy }, home);
    await again.open();
    expect(Buffer.from(await again.read('a', 0, 3)).toString()).toBe('six');
    await again.close();
  });

  it('gives no log to a pool that is too small for one', async () => {
    const file = path.join(home, 'pool');
    const target = await poolTarget('file', { path: file, create_if_missing_with_size: 2 * MIB }, home);
    await target.open();
    await target.put('a', Buffer.from('one'));
    await target.close();
    expect((await inspect(file)).info.log).toBeNull();
  });
});
