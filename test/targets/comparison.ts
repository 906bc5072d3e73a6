/** A target beside its model: random steps, each taken by both, and what must be the same afterwards. */
import { types } from 'node:util';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import { RegionId, type RegionRange, type Target } from '../../core/index.js';
import type { Expectation, Model } from './model.js';

const good = fc.nat(70);
const bad = fc.constantFrom(-1, 0.5, NaN, Infinity, -Infinity, 2 ** 53, 2 ** 53 - 1, 2 ** 53 - 2, 2 ** 32);
/** A size or an offset, now and then a wrong one. */
const size = fc.oneof({ weight: 12, arbitrary: good }, { weight: 1, arbitrary: bad });
const range: fc.Arbitrary<RegionRange> = fc.record({ offset: size, size });
const goodRange = fc.record({ offset: fc.nat(20), size: fc.nat(20) });
const ranges: fc.Arbitrary<readonly RegionRange[]> = fc.oneof(
  fc.array(goodRange, { maxLength: 4 }),
  fc.array(range, { maxLength: 4 }),
);
const bytes = fc.uint8Array({ maxLength: 60 });
const which = fc.nat();
const persist = fc.boolean();

export const step = fc.oneof(
  fc.record({ call: fc.constant('create'), size }),
  fc.record({ call: fc.constant('createOfBytes'), bytes, persist }),
  fc.record({
    call: fc.constant('createOfSource'),
    pieces: fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 3 }),
    /** Announced beyond what is given. */
    surplus: fc.oneof(
      { weight: 5, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.constantFrom(-1, 1) },
    ),
    throws: fc.oneof(
      { weight: 5, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    ),
    persist,
  }),
  fc.record({ call: fc.constant('write'), which, offset: size, bytes, persist }),
  fc.record({
    call: fc.constant('writev'),
    which,
    ranges,
    surplus: fc.oneof(
      { weight: 9, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.constantFrom(-1, 1) },
    ),
    seed: fc.nat(255),
    persist,
  }),
  fc.record({ call: fc.constant('read'), which, offset: size, size }),
  fc.record({ call: fc.constant('readInto'), which, offset: size, size: good }),
  fc.record({ call: fc.constant('readv'), which, ranges }),
  fc.record({ call: fc.constant('persist'), which, ranges: fc.option(ranges, { nil: undefined }) }),
  fc.record({ call: fc.constant('erase'), which }),
  fc.record({ call: fc.constant('stat'), which }),
  fc.record({ call: fc.constant('list'), limit: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ call: fc.constant('reopen') }),
);
export type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class SourceFailed extends Error {
  readonly code = 'SOURCE_FAILED';
}

export class Comparison {
  /** Every ID that was ever given, and two that never were. */
  readonly #ids: RegionId[] = [RegionId.random(), RegionId.of(0, 1, 7, 7)];

  constructor(
    readonly target: Target,
    readonly model: Model,
  ) {}

  async take(step: Step): Promise<void> {
    const { target, model } = this;
    switch (step.call) {
      case 'create':
        return this.#created(target.create(step.size), model.create(step.size));
      case 'createOfBytes':
        return this.#created(
          target.createAndWrite(step.bytes, { persist: step.persist }),
          model.createAndWrite(step.bytes.length, [step.bytes]),
        );
      case 'createOfSource':
        return this.#createdOfSource(step);
      case 'list':
        return this.#lists(step.limit);
      case 'reopen':
        await target.close();
        await target.open();
        return model.reopen();
      default:
        return this.#onRegion(step, this.#id(step.which));
    }
  }

  async #onRegion(step: Extract<Step, { which: number }>, id: RegionId): Promise<void> {
    const { target, model } = this;
    switch (step.call) {
      case 'write': {
        const { offset, bytes, persist } = step;
        const expected = model.writev(id, [{ offset, size: bytes.length }], bytes);
        return agree(target.write(id, offset, bytes, { persist }), expected);
      }
      case 'writev': {
        const total = sumOf(step.ranges.map(({ size }) => (size >= 0 && size <= 100 ? size : 0)));
        const bytes = new Uint8Array(Math.max(0, total + step.surplus)).fill(step.seed);
        const call = target.writev(id, step.ranges, bytes, { persist: step.persist });
        return agree(call, model.writev(id, step.ranges, bytes));
      }
      case 'read':
        return agree(target.read(id, step.offset, step.size), model.read(id, step.offset, step.size));
      case 'readInto': {
        const buffer = new Uint8Array(step.size);
        const call = target.readInto(id, step.offset, buffer).then(() => buffer);
        return agree(call, model.read(id, step.offset, step.size));
      }
      case 'readv':
        return agree(target.readv(id, step.ranges), model.readv(id, step.ranges));
      case 'persist':
        return agree(target.persist(id, step.ranges), model.persist(id, step.ranges));
      case 'erase':
        return agree(target.erase(id), model.erase(id));
      case 'stat':
        return agree(
          target.stat(id).then((stat) => stat.size),
          model.stat(id),
        );
    }
  }

  /** Figures after every step; bytes at the end. */
  async agreeOnFigures(): Promise<void> {
    const { regions, usedBytes } = await this.target.stats();
    expect([regions, usedBytes]).toEqual([this.model.regions.size, this.model.usedBytes]);
  }

  async agreeOnBytes(): Promise<void> {
    await this.#lists(3);
    for (const id of this.#ids) {
      const region = this.model.regions.get(id.toString());
      await agree(this.target.read(id, 0, region?.length ?? 0), this.model.read(id, 0, region?.length ?? 0));
    }
  }

  #id(which: number): RegionId {
    // The latest first: a small number is a likely live region.
    return this.#ids[this.#ids.length - 1 - (which % this.#ids.length)] ?? RegionId.random();
  }

  async #created(call: Promise<RegionId>, expected: Expectation<(id: RegionId) => void>): Promise<void> {
    if (expected.faults.length > 0) return agree(call, { ...expected, apply: () => undefined });
    const id = await call;
    expect(this.#ids.map(String)).not.toContain(id.toString());
    this.#ids.push(id);
    expected.apply()(id);
  }

  #createdOfSource(step: Extract<Step, { call: 'createOfSource' }>): Promise<void> {
    const { pieces, surplus, throws } = step;
    const size = sumOf(pieces.map(({ length }) => length)) + surplus;
    async function* source(): AsyncGenerator<Uint8Array> {
      for (const piece of pieces) yield await Promise.resolve(piece);
      if (throws) throw new SourceFailed();
    }
    const call = this.target.createAndWrite({ size, source: source() }, { persist: step.persist });
    const expected = this.model.createAndWrite(size, pieces);
    if (!throws) return this.#created(call, expected);
    return failsWith(call, ['SOURCE_FAILED', ...expected.faults]);
  }

  async #lists(limit: number): Promise<void> {
    const listed: (readonly [string, number])[] = [];
    let after: RegionId | undefined;
    do {
      const page = await this.target.list({ limit, ...(after && { after }) });
      expect(page.regions.length).toBeLessThanOrEqual(limit);
      listed.push(...page.regions.map(({ id, size }) => [id.toString(), size] as const));
      // Paging that does not move on would never end.
      expect(listed.length).toBeLessThanOrEqual(this.model.regions.size);
      after = page.next;
    } while (after !== undefined);
    const expected = Array.from(this.model.regions, ([id, { length }]) => [id, length] as const);
    expect(listed.toSorted()).toEqual(expected.toSorted());
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

async function failsWith(call: Promise<unknown>, codes: readonly string[]): Promise<void> {
  const code = await call.then(
    () => 'none, it succeeded',
    (error: unknown) => (error as { code?: unknown }).code ?? error,
  );
  expect(codes).toContain(code);
}

/** Asserts that a call does what the model does. */
async function agree(call: Promise<unknown>, { faults, apply }: Expectation<unknown>): Promise<void> {
  if (faults.length > 0) return failsWith(call, faults);
  expect(plain(await call)).toEqual(plain(apply()));
}

/** Bytes as hex: Buffers and Uint8Arrays of the same bytes are the same. */
function plain(value: unknown): unknown {
  return types.isUint8Array(value) ? Buffer.from(value).toString('hex') : value;
}
