/** The journal of a pool: its records, and what an open makes of them. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { BedrockError } from '../../core/base/errors.js';
import type { JournalAreas, PoolHeader } from '../../core/pool/header.js';
import { JOURNAL } from '../../core/pool/header.js';
import { decodeRecord, encodeRecord, RECORD_AT, recordLength } from '../../core/pool/journal-record.js';
import type { RecordEntry } from '../../core/pool/record-parts.js';
import { readJournal, replayJournal } from '../../core/pool/journal-replay.js';
import { areaLength, Journal } from '../../core/pool/journal.js';
import type { Eventually } from '../../core/targets/lifecycle.js';
import { MemoryMedium } from './memory-medium.js';

const POOL = { poolLow: 0x89ab_cdef, poolHigh: 0xfedc_ba98 };
const AREAS: JournalAreas = { offsets: [16_384, 32_768], length: 8192 };
const CAPACITY = 65_536;
const HEADER: PoolHeader = {
  ...POOL,
  features: { compatible: 0, readOnlyCompatible: 0, incompatible: JOURNAL },
  sequence: 1,
  createdAt: 1,
  capacity: CAPACITY,
  alignment: 64,
  freshFrom: CAPACITY,
  chunks: [],
  journal: AREAS,
};
/** Where the changes of these tests are made, behind the areas. */
const PLACE = 49_152;

const entries: fc.Arbitrary<RecordEntry[]> = fc.array(
  fc.record({
    offset: fc.integer({ min: 8192, max: 2 ** 50 }),
    bytes: fc.uint8Array({ maxLength: 100 }),
  }),
  { maxLength: 12 },
);

function encoded(list: readonly RecordEntry[], sequence = 1): Buffer {
  const record = Buffer.alloc(recordLength(list), 0xee);
  expect(encodeRecord(record, list, sequence, POOL)).toBe(record.length);
  return record;
}

function entry(text: string, at = 0): RecordEntry {
  return { offset: PLACE + at, bytes: Buffer.from(text) };
}

function plain(list: readonly RecordEntry[] | undefined): unknown {
  return list?.map(({ offset, bytes }) => [offset, [...bytes]]);
}

describe('a record of the journal', () => {
  test('comes out as it went in', () => {
    fc.assert(
      fc.property(entries, fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (list, sequence) => {
        const record = encoded(list, sequence);
        expect(plain(decodeRecord(record, POOL))).toEqual(plain(list));
        expect(record.length % 8).toBe(0);
      }),
    );
  });

  test('is none with a word of it changed, and none of another pool', () => {
    fc.assert(
      fc.property(entries, fc.nat(), fc.integer({ min: 1, max: 255 }), (list, place, change) => {
        const record = encoded(list);
        expect(decodeRecord(record, { ...POOL, poolLow: 1 })).toBeUndefined();
        const at = place % record.length;
        record[at] = (record[at] as number) ^ change;
        expect(decodeRecord(record, POOL)).toBeUndefined();
      }),
    );
  });
});

/** A medium that refuses, or fails, where it is told to. */
class FailingMedium extends MemoryMedium {
  fault: ((step: string, offset: number) => Error | undefined) | undefined;
  failure: Error | undefined;

  #check(step: string, offset: number): void {
    const error = this.fault?.(step, offset);
    if (error !== undefined) throw error;
  }

  override stage(offset: number, bytes: Uint8Array): Eventually<void> {
    this.#check('stage', offset);
    return super.stage(offset, bytes);
  }

  override publishWord(offset: number, word: bigint): Eventually<void> {
    this.#check('publishWord', offset);
    return super.publishWord(offset, word);
  }

  fail(why: string, cause: unknown): Error {
    return (this.failure ??= new BedrockError('READ_ONLY', why, { cause }));
  }
}

const FULL = new BedrockError('OUT_OF_SPACE', 'full');

function newMedium(): FailingMedium {
  return new FailingMedium(new Uint8Array(CAPACITY));
}

function textAt(medium: MemoryMedium, at: number, length: number): string {
  return medium.bytes.toString('latin1', PLACE + at, PLACE + at + length);
}

describe('the journal of an open pool', () => {
  test('makes each change, and leaves no record that counts', async () => {
    const medium = newMedium();
    const journal = new Journal(medium, AREAS, 0);
    for (let number = 1; number <= 5; number++) {
      await journal.commit([entry(`one${number}`), entry(`two${number}`, 64)], HEADER);
      expect([textAt(medium, 0, 4), textAt(medium, 64, 4)]).toEqual([`one${number}`, `two${number}`]);
      // The first change after an open uses up one more.
      await expect(readJournal(medium, HEADER, AREAS)).resolves.toEqual({ done: number + 1 });
    }
  });

  test('lets the later of two entries over the same bytes count', async () => {
    const medium = newMedium();
    await new Journal(medium, AREAS, 0).commit([entry('first'), entry('SEC', 1)], HEADER);
    expect(textAt(medium, 0, 5)).toBe('fSECt');
  });

  test('tells which changes have room', () => {
    const journal = new Journal(newMedium(), AREAS, 0);
    const large = (bytes: number): RecordEntry[] => [{ offset: PLACE, bytes: new Uint8Array(bytes) }];
    const most = AREAS.length - areaLength(large(0));
    expect([journal.fits(large(most)), journal.fits(large(most + 1))]).toEqual([true, false]);
    expect(new Journal(newMedium(), undefined, 0).fits([])).toBe(false);
  });

  test('has done nothing when a record is refused for want of room, and goes on', async () => {
    const medium = newMedium();
    const journal = new Journal(medium, undefined, 0);
    journal.use(AREAS);
    // All of it was stored, as the system may do, and refused all the same.
    medium.fault = (step, offset) => {
      if (step !== 'stage') return undefined;
      medium.fault = undefined;
      medium.bytes.set(encoded([entry('late')]), offset);
      return FULL;
    };
    await expect(async () => journal.commit([entry('late')], HEADER)).rejects.toMatchObject({
      code: 'OUT_OF_SPACE',
    });
    await expect(readJournal(medium, HEADER, AREAS)).resolves.toEqual({ done: 1 });
    await journal.commit([entry('next')], HEADER);
    expect(textAt(medium, 0, 4)).toBe('next');
  });

  test.each([
    ['a record is stored in part', 'stage', new Error('EIO'), false],
    ['a record is refused, and cannot be made void', 'any', FULL, false],
    ['a change that was committed cannot be completed', 'apply', FULL, true],
  ])('takes no change any more when %s', async (_title, where, error, isThere) => {
    const medium = newMedium();
    const journal = new Journal(medium, undefined, 0);
    journal.use(AREAS);
    medium.fault = (step, offset) => {
      if (where === 'apply') return offset >= PLACE ? error : undefined;
      return where === 'any' || step === where ? error : undefined;
    };
    await expect(async () => journal.commit([entry('done')], HEADER)).rejects.toMatchObject({
      code: 'READ_ONLY',
    });
    expect(medium.failure).toBeDefined();
    const state = await readJournal(medium, HEADER, AREAS);
    expect(state.pending !== undefined).toBe(isThere);
  });
});

describe('recovery of a journal', () => {
  function withRecord(sequence: number, area: number, text: string): MemoryMedium {
    const medium = newMedium();
    medium.write((AREAS.offsets[area] as number) + RECORD_AT, encoded([entry(text)], sequence));
    return medium;
  }

  test('completes a whole record of the expected sequence, once', async () => {
    const medium = withRecord(1, 1, 'done');
    const state = await readJournal(medium, HEADER, AREAS);
    expect(plain(state.pending)).toEqual(plain([entry('done')]));
    await expect(replayJournal(medium, AREAS, state)).resolves.toBe(1);
    expect(textAt(medium, 0, 4)).toBe('done');
    await expect(readJournal(medium, HEADER, AREAS)).resolves.toEqual({ done: 1 });
  });

  test.each([
    ['of a later sequence', 3, 1],
    ['in the area of the other one', 1, 0],
    ['of no sequence', 0, 1],
  ])('takes no notice of a whole record %s', async (_title, sequence, area) => {
    const medium = withRecord(sequence, area, 'stale');
    await expect(readJournal(medium, HEADER, AREAS)).resolves.toEqual({ done: 0 });
  });

  test('takes no notice of a record that was void once, whatever the other area holds', async () => {
    const medium = newMedium();
    const journal = new Journal(medium, undefined, 0);
    journal.use(AREAS);
    await journal.commit([entry('one')], HEADER);
    const first = Buffer.from(medium.bytes);
    await journal.commit([entry('two')], HEADER);
    // The record of the first change is whole still.
    expect(
      medium.bytes.compare(
        first,
        AREAS.offsets[1],
        AREAS.offsets[1] + 128,
        AREAS.offsets[1],
        AREAS.offsets[1] + 128,
      ),
    ).toBe(0);
    await expect(readJournal(medium, HEADER, AREAS)).resolves.toEqual({ done: 2 });
  });

  test('completes no torn record by the words of another one', async () => {
    const medium = newMedium();
    const torn = encoded([entry('first')], 1);
    const at = AREAS.offsets[1] + RECORD_AT;
    medium.write(at, torn.subarray(0, torn.length - 8));
    const { done } = await readJournal(medium, HEADER, AREAS);
    // A power failure leaves the last word of the next record, and no other one of it.
    let last: [number, Uint8Array] | undefined;
    medium.fault = (step, offset) => {
      if (step === 'stage' && offset < PLACE) last ??= [offset, torn.subarray(-8)];
      return undefined;
    };
    const area = Buffer.from(medium.bytes);
    await new Journal(medium, AREAS, done).commit([entry('first')], HEADER);
    const failed = new MemoryMedium(area);
    failed.write(AREAS.offsets[1], medium.bytes.subarray(AREAS.offsets[1], AREAS.offsets[1] + 8));
    failed.write(at + torn.length - 8, torn.subarray(-8));
    expect(last?.[0]).toBe(AREAS.offsets[0] + RECORD_AT);
    await expect(readJournal(failed, HEADER, AREAS)).resolves.toEqual({ done: 1 });
  });

  test('takes no notice of entries without bytes, wherever they are', async () => {
    const medium = newMedium();
    const empty = { offset: 0, bytes: new Uint8Array(0) };
    medium.write(AREAS.offsets[1] + RECORD_AT, encoded([empty, entry('done'), empty]));
    const state = await readJournal(medium, HEADER, AREAS);
    expect(plain(state.pending)).toEqual(plain([entry('done')]));
  });

  test('refuses a record that changes what no pool changes', async () => {
    const medium = newMedium();
    const record = encoded([{ offset: 0, bytes: Buffer.from('header') }]);
    medium.write(AREAS.offsets[1] + RECORD_AT, record);
    await expect(readJournal(medium, HEADER, AREAS)).rejects.toMatchObject({ code: 'POOL_CORRUPT' });
  });
});
