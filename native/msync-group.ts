/**
 * Groups the msyncs of a mapping: while one runs, later callers wait together, and the next msync
 * spans all their ranges. A disk takes about as long for many pages as for one, and the thread pool
 * has four threads.
 *
 * A caller that comes while an msync runs waits for the next one, as the running one may already
 * have passed the caller's pages.
 */
type Msync = (offset: number, length: number) => Promise<void>;

/** Whoever wants to know how many callers share an msync, and how long it takes. */
export interface MsyncMeter {
  /** Calls `msync` at once, and returns what it returns. */
  measure<T>(callers: number, msync: () => Promise<T>): Promise<T>;
}

interface Group {
  callers: number;
  start: number;
  end: number;
  readonly done: Promise<void>;
  readonly begin: () => void;
}

export class MsyncGroup {
  /** Measures its msyncs. */
  meter: MsyncMeter | undefined;
  readonly #msync: Msync;
  #running = 0;
  #next: Group | undefined;

  constructor(msync: Msync) {
    this.#msync = msync;
  }

  /** Resolves when the range is durable. */
  over(offset: number, length: number): Promise<void> {
    const group = (this.#next ??= this.#newGroup(offset));
    group.callers++;
    group.start = Math.min(group.start, offset);
    group.end = Math.max(group.end, offset + length);
    // Callers of the same turn of the event loop share it.
    if (this.#running === 0) queueMicrotask(() => this.#runNext(group));
    // A promise for each caller: so Node.js reports a failure to one that ignores it.
    return group.done.then(() => undefined);
  }

  /** Starts the waiting msync without waiting for the running one. */
  start(): void {
    if (this.#next !== undefined) this.#runNext(this.#next);
  }

  #newGroup(offset: number): Group {
    let resolve: (done: Promise<void>) => void = () => undefined;
    const done = new Promise<void>((given) => (resolve = given));
    // At once, not a turn later: a mapping that is about to be closed must accept it first.
    const sync = async (): Promise<void> => this.#msync(group.start, group.end - group.start);
    const measured = (): Promise<void> =>
      this.meter === undefined ? sync() : this.meter.measure(group.callers, sync);
    const group: Group = { callers: 0, start: offset, end: offset, done, begin: () => resolve(measured()) };
    return group;
  }

  #runNext(group: Group): void {
    // It was started already.
    if (this.#next !== group) return;
    this.#next = undefined;
    this.#running++;
    group.begin();
    const ended = (): void => {
      this.#running--;
      if (this.#running === 0) this.start();
    };
    group.done.then(ended, ended);
  }
}
