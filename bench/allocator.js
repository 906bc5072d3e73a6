/**
 * The extent allocator of the region pool beside a first-fit list: how full a pool of ten thousand
 * regions gets before an allocation fails, and what it costs to free one extent and allocate
 * another in a pool that has been in use for long.
 */
import { ExtentAllocator } from '../dist/core/pool/extent-allocator.js';
import { FirstFit } from './first-fit.js';
import { median, row } from './table.js';

const SECTION = 'allocator';
const REFERENCE = 'first-fit list';
const ALIGNMENT = 64;

/**
 * Bytes of a region out of a number in [0, 1); log-uniform: as many from 64 to 128 as from half a
 * MiB to one.
 */
const MIXES = {
  '64 B to 1 MiB': (number) => 64 * 2 ** (14 * number),
  '64 B to 16 KiB': (number) => 64 * 2 ** (8 * number),
  'nine in ten to 4 KiB, one 64 KiB to 1 MiB': (number) =>
    number < 0.9 ? 64 * 2 ** ((number / 0.9) * 6) : 65536 * 2 ** ((number - 0.9) * 40),
  'six sizes, 64 B to 1 MiB': (number) => [64, 4096, 5000, 65536, 100000, 2 ** 20][Math.floor(number * 6)],
};

export function allocatorSection({ rounds }) {
  const rows = [];
  for (const [name, bytesOf] of Object.entries(MIXES)) {
    const ours = [];
    const reference = [];
    for (let round = 1; round <= rounds; round++) {
      ours.push(percentAtFirstFailure(bytesOf, round, allocatorOf));
      reference.push(
        percentAtFirstFailure(bytesOf, round, (capacity) => new FirstFit([{ offset: 0, length: capacity }])),
      );
    }
    rows.push(row(SECTION, `in use when full, ${name}`, '%', median(ours), median(reference), REFERENCE));
  }
  rows.push(compareTime('10 000 live', 10_000, { ours: 500_000, reference: 50_000 }, rounds));
  rows.push(compareTime('1 000 000 live', 1_000_000, { ours: 500_000, reference: 1_000 }, rounds));
  return rows;
}

/**
 * Fills a pool to 70 %, then replaces regions at random and adds one for every twenty replaced,
 * until an allocation fails.
 */
function percentAtFirstFailure(bytesOf, seed, create) {
  const random = randomNumbers(seed);
  const next = () => aligned(bytesOf(random()));
  const capacity = 10_000 * aligned(meanOf(bytesOf));
  const space = create(capacity);
  const live = [];
  let used = 0;
  for (let step = 0; ; step++) {
    if (used > capacity * 0.7 && step % 21 !== 0) {
      const index = Math.floor(random() * live.length);
      const freed = live[index];
      live[index] = live.at(-1);
      live.pop();
      space.free(freed.offset, freed.length);
      used -= freed.length;
    }
    const length = next();
    const offset = space.allocate(length);
    if (offset < 0) return (used / capacity) * 100;
    live.push({ offset, length });
    used += length;
  }
}

/**
 * One free and one allocate, 64 B to 1 MiB, where four fifths of the pool are in use; both start
 * from the same free space.
 */
function compareTime(name, count, operations, rounds) {
  const bytesOf = MIXES['64 B to 1 MiB'];
  const random = randomNumbers(count);
  const space = allocatorOf(count * aligned((meanOf(bytesOf) * 5) / 4));
  const live = { offsets: new Float64Array(count), lengths: new Float64Array(count) };
  for (let index = 0; index < count; index++) {
    live.lengths[index] = aligned(bytesOf(random()));
    live.offsets[index] = space.allocate(live.lengths[index]);
  }
  churn(space, live, planOf(bytesOf, random, count, 3 * count));
  const ours = [];
  const reference = [];
  for (let round = 0; round <= rounds; round++) {
    const list = new FirstFit(space.list());
    const copy = { offsets: live.offsets.slice(), lengths: live.lengths.slice() };
    const micros = [
      churn(list, copy, planOf(bytesOf, random, count, operations.reference)),
      churn(space, live, planOf(bytesOf, random, count, operations.ours)),
    ];
    // The first round warms up.
    if (round === 0) continue;
    reference.push(micros[0]);
    ours.push(micros[1]);
  }
  return row(SECTION, `free and allocate, ${name}`, 'ns', median(ours), median(reference), REFERENCE);
}

/** What to replace by what, drawn before the clock starts. */
function planOf(bytesOf, random, count, operations) {
  const indexes = Uint32Array.from({ length: operations }, () => Math.floor(random() * count));
  const lengths = Float64Array.from({ length: operations }, () => aligned(bytesOf(random())));
  return { indexes, lengths };
}

/** @returns nanoseconds for one free and one allocate */
function churn(space, { offsets, lengths }, plan) {
  const operations = plan.indexes.length;
  const started = process.hrtime.bigint();
  for (let number = 0; number < operations; number++) {
    const index = plan.indexes[number];
    space.free(offsets[index], lengths[index]);
    lengths[index] = plan.lengths[number];
    offsets[index] = space.allocate(lengths[index]);
    if (offsets[index] < 0) throw new Error('the pool of the benchmark is full');
  }
  return Number(process.hrtime.bigint() - started) / operations;
}

function allocatorOf(capacity) {
  const space = new ExtentAllocator(ALIGNMENT);
  space.add(0, capacity);
  return space;
}

function aligned(bytes) {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

function meanOf(bytesOf) {
  const samples = Array.from({ length: 100_000 }, (_, index) => bytesOf((index + 0.5) / 100_000));
  return samples.reduce((sum, bytes) => sum + bytes, 0) / samples.length;
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
