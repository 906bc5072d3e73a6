/**
 * A model of a target: a map of byte arrays. For each step it says what the call must give, or the
 * codes of which it must fail with one: the contract does not say which comes first if several
 * things are wrong.
 */
import type { ErrorCode, RegionId, RegionRange } from '../../core/index.js';

/** What a call comes to; with faults it fails and changes nothing. */
export interface Expectation<T> {
  readonly faults: readonly ErrorCode[];
  /** What it gives. Only to be asked for without faults. */
  readonly apply: () => T;
}

export class Model {
  readonly regions = new Map<string, Uint8Array>();

  constructor(
    readonly capacityBytes: number,
    readonly spaceOf: (size: number) => number,
    readonly isPersistent: boolean,
  ) {}

  get usedBytes(): number {
    return [...this.regions.values()].reduce((sum, { length }) => sum + this.spaceOf(length), 0);
  }

  create(size: number): Expectation<(id: RegionId) => void> {
    const faults = [...sizeFaults(size)];
    if (faults.length === 0 && this.spaceOf(size) > this.capacityBytes - this.usedBytes)
      faults.push('OUT_OF_SPACE');
    return { faults, apply: () => (id) => void this.regions.set(id.toString(), new Uint8Array(size)) };
  }

  createAndWrite(size: number, pieces: readonly Uint8Array[]): Expectation<(id: RegionId) => void> {
    const bytes = Buffer.concat(pieces);
    const faults = [...this.create(size).faults];
    if (bytes.length !== size) faults.push('INVALID_ARGUMENT');
    return { faults, apply: () => (id) => void this.regions.set(id.toString(), Uint8Array.from(bytes)) };
  }

  read(id: RegionId, offset: number, size: number): Expectation<Uint8Array> {
    return this.readv(id, [{ offset, size }]);
  }

  readv(id: RegionId, ranges: readonly RegionRange[]): Expectation<Uint8Array> {
    const region = this.#region(id);
    return {
      faults: this.#faults(id, ranges),
      apply: () => Buffer.concat(ranges.map(({ offset, size }) => region.subarray(offset, offset + size))),
    };
  }

  writev(id: RegionId, ranges: readonly RegionRange[], bytes: Uint8Array): Expectation<void> {
    const region = this.#region(id);
    const faults = [...this.#faults(id, ranges)];
    if (ranges.reduce((sum, { size }) => sum + size, 0) !== bytes.length) faults.push('INVALID_ARGUMENT');
    return {
      faults,
      apply: () => {
        let from = 0;
        for (const { offset, size } of ranges) {
          region.set(bytes.subarray(from, from + size), offset);
          from += size;
        }
      },
    };
  }

  persist(id: RegionId, ranges: readonly RegionRange[] | undefined): Expectation<void> {
    return { faults: this.#faults(id, ranges ?? []), apply: () => undefined };
  }

  erase(id: RegionId): Expectation<void> {
    return { faults: this.#faults(id, []), apply: () => void this.regions.delete(id.toString()) };
  }

  stat(id: RegionId): Expectation<number> {
    return { faults: this.#faults(id, []), apply: () => this.#region(id).length };
  }

  reopen(): void {
    if (!this.isPersistent) this.regions.clear();
  }

  #region(id: RegionId): Uint8Array {
    return this.regions.get(id.toString()) ?? new Uint8Array(0);
  }

  #faults(id: RegionId, ranges: readonly RegionRange[]): ErrorCode[] {
    const region = this.regions.get(id.toString());
    const faults: ErrorCode[] = region === undefined ? ['REGION_NOT_FOUND'] : [];
    for (const { offset, size } of ranges) {
      const wrong = [...sizeFaults(offset), ...sizeFaults(size)];
      faults.push(...wrong);
      // In whole numbers of any size: 2^53 must not round into range.
      const isWithin =
        wrong.length === 0 && region !== undefined && BigInt(offset) + BigInt(size) <= BigInt(region.length);
      if (wrong.length === 0 && region !== undefined && !isWithin) faults.push('OUT_OF_RANGE');
    }
    return faults;
  }
}

function sizeFaults(size: number): ErrorCode[] {
  return Number.isSafeInteger(size) && size >= 0 ? [] : ['INVALID_ARGUMENT'];
}
