/** Rules of concurrent calls: overlapping writes mix only by bytes, and other activity is never visible. */
import type { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import { counts, inFlight, pattern, rejects, sameBytes } from './assertions.js';
import { BrokenRule } from './findings.js';
import type { Rules } from './rules.js';

/** Bytes that are compared at once where they are all of one candidate, as most are. */
const BLOCK_BYTES = 4096;

/** Asserts that each byte is that of one of the candidates. */
function mixedOf(actual: Uint8Array, candidates: readonly Uint8Array[], what: string): void {
  for (let from = 0; from < actual.length; from += BLOCK_BYTES) {
    const block = (bytes: Uint8Array): Uint8Array => bytes.subarray(from, from + BLOCK_BYTES);
    const found = block(actual);
    if (candidates.some((candidate) => Buffer.compare(block(candidate), found) === 0)) continue;
    const isOfOne = found.map((byte, at) => Number(candidates.some((each) => each[from + at] === byte)));
    const at = from + isOfOne.indexOf(0);
    if (at < from) continue;
    const written = candidates.map((candidate) => candidate[at]).join(', ');
    throw new BrokenRule(what, `${actual[at]} at byte ${at}`, `what somebody wrote there, one of ${written}`);
  }
}

export const concurrencyRules: Rules = (rule, { isRemote, isThorough }) => {
  // Each call of a remote target is a request.
  const [workers, rounds] = isRemote && !isThorough ? [20, 2] : [40, 5];

  for (const size of [100, 100_000]) {
    rule(`mixes overlapping writes of ${size} bytes by bytes only`, async ({ target }) => {
      for (let round = 0; round < 5; round++) {
        const old = pattern(size, 99);
        const id = await target.createAndWrite(old);
        const writes = [1, 2, 3, 4].map((seed) => pattern(size, seed));
        const reads: Promise<Uint8Array>[] = [];
        await Promise.all(
          writes.map((bytes, at) => {
            const write = target.write(id, 0, bytes, { persist: at % 2 === 0 });
            reads.push(inFlight(target.read(id, 0, size)));
            return write;
          }),
        );
        for (const read of reads) mixedOf(await read, [old, ...writes], 'a read beside the writes');
        mixedOf(await target.read(id, 0, size), writes, 'the region afterwards');
      }
    });
  }

  rule('keeps concurrent writes to neighbouring bytes apart', async ({ target }) => {
    const size = 4099;
    const id = await target.create(size);
    const bytes = pattern(size);
    const writes: Promise<void>[] = [];
    for (let offset = 0; offset < size; offset += 13) {
      writes.push(
        target.write(id, offset, bytes.subarray(offset, offset + 13), { persist: offset % 2 === 0 }),
      );
    }
    await Promise.all(writes);
    sameBytes(await target.read(id, 0, size), bytes, 'the region after all writes');
  });

  rule('keeps what overlapping writes do not share exactly as written', async ({ target }) => {
    const id = await target.create(3000);
    await Promise.all([
      target.write(id, 0, new Uint8Array(2000).fill(0xaa)),
      target.write(id, 1000, new Uint8Array(2000).fill(0xbb)),
    ]);
    const found = await target.read(id, 0, 3000);
    sameBytes(found.slice(0, 1000), new Uint8Array(1000).fill(0xaa), 'the part of the first write alone');
    sameBytes(found.slice(2000), new Uint8Array(1000).fill(0xbb), 'the part of the second write alone');
    const both = [0xaa, 0xbb].map((byte) => new Uint8Array(1000).fill(byte));
    mixedOf(found.subarray(1000, 2000), both, 'the part of both writes');
  });

  rule('shows a write that has resolved to every read that begins later', async ({ target }) => {
    const id = await target.create(512);
    for (let seed = 1; seed <= 30; seed++) {
      const bytes = pattern(512, seed);
      const other = inFlight(target.read(id, 0, 512));
      await target.write(id, 0, bytes);
      const reads = await Promise.all([
        target.read(id, 0, 512),
        target.readv(id, [{ offset: 0, size: 512 }]),
        target.read(id, 0, 512),
      ]);
      for (const read of reads) sameBytes(read, bytes, 'a read after the write');
      await other;
    }
  });

  rule('never mixes up regions under hundreds of calls at once', async ({ target }) => {
    const work = async (seed: number): Promise<void> => {
      const size = 50 + seed * 37;
      let id: RegionId = await target.createAndWrite(pattern(size, seed));
      for (let round = 0; round < rounds; round++) {
        sameBytes(await target.read(id, 0, size), pattern(size, seed), `region of worker ${seed}`);
        await target.write(id, 0, pattern(size, seed + round), { persist: round % 2 === 0 });
        sameBytes(await target.read(id, 0, size), pattern(size, seed + round), `region of worker ${seed}`);
        await target.erase(id);
        await rejects(target.read(id, 0, size), 'REGION_NOT_FOUND', 'a read after erase');
        id = await target.createAndWrite({ size, source: [pattern(size, seed)] });
      }
    };
    await Promise.all(Array.from({ length: workers }, (_, seed) => work(seed + 1)));
    await counts(target, workers, 'after the work');
  });

  rule('never mixes up targets', async (bench) => {
    const other = await bench.another();
    const work = async (target: Target, seed: number): Promise<RegionId> => {
      const id = await target.create(1000);
      await target.write(id, 0, pattern(1000, seed));
      return id;
    };
    const seeds = Array.from({ length: 20 }, (_, at) => at + 1);
    const own = await Promise.all(seeds.map((seed) => work(bench.target, seed)));
    const others = await Promise.all(seeds.map((seed) => work(other, seed + 100)));
    for (const [at, id] of own.entries()) {
      sameBytes(await bench.target.read(id, 0, 1000), pattern(1000, at + 1), 'a region of the first target');
    }
    for (const [at, id] of others.entries()) {
      sameBytes(await other.read(id, 0, 1000), pattern(1000, at + 101), 'a region of the second target');
    }
  });
};
