/**
 * A medium with a log (log-record.ts) before it. Small stores go into the log first, those of one
 * turn of the event loop together in one record, and to their places once the record is durable. So
 * a put takes one flush of a few sequential pages, whatever places it stores to.
 *
 * Without a log, as long as the pool has none, everything goes to the medium behind as it is. With
 * it, these rules make a replay of the log always right:
 *
 * | rule | otherwise |
 * |---|---|
 * | a store is made in its place only when its record is durable | a crash would leave a part of a change |
 * | records become durable and are stored in place one after another | a replay would end with older bytes |
 * | what goes past the log waits for a checkpoint if a record may store to the same page | a replay would bring old bytes back |
 * | what goes into the log waits for stores past it that are still under way to the same bytes | they could overtake it |
 * | a half is written again only when `done` past its records is durable, and that only when they are durable in place | a crash would lose them |
 *
 * All space may be used again at once: a replay repeats everything in order, and ends with the
 * newest bytes. The pages of headers never go into the log.
 *
 * If a record, or a store that it has committed, is refused, the medium fails: so a log is only for
 * media that have the space of every byte.
 */
import { endOfTurn } from '../base/end-of-turn.js';
import { BedrockError } from '../base/errors.js';
import type { FlushMeter } from '../base/flush-meter.js';
import type { TargetMode } from '../contract/mode.js';
import type { Eventually } from '../targets/lifecycle.js';
import { HEADERS_BYTES, type PoolId } from './extent.js';
import type { LogArea } from './header.js';
import { doneOffset, halfOf, offsetOfHalf } from './log-replay.js';
import { LogRecord } from './log-record.js';
import type { MediumSpace, PoolMedium } from './medium.js';
import type { RecordEntry } from './record-parts.js';

/** Larger stores go past the log. */
const MAX_LOGGED_BYTES = 4096;
/** The most that a change of several places brings into one record. */
const MAX_TOGETHER_BYTES = 2 ** 16;
/** Zeros that a record stores; more are written past the log. */
const MAX_LOGGED_ZEROS = 2 ** 16;
/** When a record is this long, further stores wait for the next one. */
const MAX_RECORD_BYTES = 2 ** 17;
const ZEROS = new Uint8Array(MAX_LOGGED_BYTES);
const PAGE_BYTES = 4096;
const WORD_BYTES = 8;
/** So long after the last record, what the log holds is made durable in place. */
const IDLE_MS = 2000;

/** What tests set, as their pools are small. */
export interface LogSettings {
  /** Bytes of a new log; 0: none. By default as many as suit the pool. */
  readonly bytes?: number;
  /** Larger stores go past the log. */
  readonly storeBytes?: number;
  /** Whether the log becomes void when nothing is stored for a while; true by default. */
  readonly idles?: boolean;
}

/** A store past the log that has not ended. */
interface Passing {
  readonly from: number;
  readonly to: number;
  readonly ended: Promise<void>;
}

/** The log of an open pool. */
interface OpenLog {
  readonly area: LogArea;
  readonly pool: PoolId;
  /** The three limits above, smaller if a half is small: a record of the last two fits into it. */
  readonly storeBytes: number;
  readonly togetherBytes: number;
  readonly recordBytes: number;
  /** Of the last record, or of a torn one that recovery has used up. */
  sequence: number;
  half: number;
  /** Where the next record goes, from the start of the half. */
  position: number;
  /** Pages that the records of the current half store to, and those of the other one until its checkpoint. */
  pages: Set<number>;
  otherPages: Set<number>;
  /** The last record of the other half, until its checkpoint. */
  otherLast: number | undefined;
}

export class LoggedMedium implements PoolMedium {
  readonly #inner: PoolMedium;
  readonly #storeBytes: number;
  readonly #idles: boolean;
  #log: OpenLog | undefined;
  #record = new LogRecord();
  /** Pages that the record being filled, and the one under way, store to. */
  #recordPages = new Set<number>();
  #runningPages = new Set<number>();
  /** Callers of the record that is being filled. */
  #callers = 0;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #checkpoint: Promise<void> | undefined;
  readonly #passing = new Set<Passing>();
  /**
   * Stores past the log that have ended, and how many of them are durable. It begins with one, as
   * what recovery has read may not be durable.
   */
  #stored = 1;
  #synced = 0;
  #timer: NodeJS.Timeout | undefined;
  #isBusy = false;
  /** Whether everything is durable that was stored before the log was used. */
  #isSettled = true;
  /** What is appended since the pool was opened. */
  readonly figures = { records: 0, bytes: 0, checkpoints: 0 };

  readonly readCarefully?: (offset: number, into: Uint8Array) => Promise<void>;
  readonly readNow?: (offset: number, into: Uint8Array) => boolean;
  readonly discard?: (offset: number, length: number) => Eventually<void>;
  readonly isZero?: (offset: number, length: number) => Promise<boolean>;
  readonly space?: () => Promise<MediumSpace | undefined>;
  readonly checkSound?: () => void;
  readonly look?: () => Promise<void>;
  readonly fail?: (why: string, cause: unknown) => Error;

  /** @param inner a medium with `writeThrough` */
  constructor(inner: PoolMedium, settings: LogSettings = {}) {
    this.#inner = inner;
    this.#storeBytes = settings.storeBytes ?? MAX_LOGGED_BYTES;
    this.#idles = settings.idles ?? true;
    if (inner.readCarefully !== undefined)
      this.readCarefully = (offset, into) =>
        (inner.readCarefully as typeof inner.read)(offset, into) as Promise<void>;
    if (inner.readNow !== undefined) this.readNow = (offset, into) => inner.readNow?.(offset, into) === true;
    if (inner.discard !== undefined)
      this.discard = (offset, length) => this.#past(offset, length, () => inner.discard?.(offset, length));
    if (inner.isZero !== undefined)
      this.isZero = (offset, length) => inner.isZero?.(offset, length) ?? Promise.resolve(true);
    if (inner.space !== undefined) this.space = () => inner.space?.() ?? Promise.resolve(undefined);
    if (inner.checkSound !== undefined) this.checkSound = () => inner.checkSound?.();
    if (inner.look !== undefined) this.look = () => inner.look?.() ?? Promise.resolve();
    if (inner.fail !== undefined)
      this.fail = (why, cause) => inner.fail?.(why, cause) ?? new Error(why, { cause });
  }

  get mode(): TargetMode {
    return this.#inner.mode;
  }

  get size(): number {
    return this.#inner.size;
  }

  get flushes(): FlushMeter | undefined {
    return this.#inner.flushes;
  }

  get isSparse(): boolean {
    return this.#inner.isSparse === true;
  }

  get reclaims(): boolean {
    return this.#inner.reclaims === true;
  }

  opened(): void {
    this.#inner.opened?.();
  }

  // ---- the log ----

  get hasLog(): boolean {
    return this.#log !== undefined;
  }

  /**
   * Uses a log from now on. Nothing in it counts.
   * @param done the sequence of the last record that is void
   * @param mayBeTorn whether a record after it may be there in part
   */
  use(area: LogArea, pool: PoolId, done: number, mayBeTorn: boolean): void {
    const half = halfOf(area);
    this.#log = {
      area,
      pool,
      storeBytes: Math.min(this.#storeBytes, half / 4),
      togetherBytes: Math.min(MAX_TOGETHER_BYTES, half / 4),
      recordBytes: Math.min(MAX_RECORD_BYTES, half / 2),
      sequence: done + (mayBeTorn ? 1 : 0),
      half: 0,
      position: 0,
      pages: new Set(),
      otherPages: new Set(),
      // A checkpoint stores what is used up before the first record counts.
      otherLast: mayBeTorn ? done + 1 : undefined,
    };
  }

  /**
   * Uses a new log from now on. Stores that were made before, or are under way, become durable
   * soon; until then nothing relies on their order.
   */
  begin(area: LogArea, pool: PoolId): void {
    this.use(area, pool, 0, false);
    this.#isSettled = false;
    void Promise.all([...this.#passing].map(({ ended }) => ended))
      .then(() => this.#sync())
      .then(() => (this.#isSettled = true))
      .catch(() => undefined);
  }

  /** Ends the use of the log: everything is durable in its place, and nothing goes into the log any more. */
  async leave(): Promise<void> {
    await this.checkpoint();
    this.#log = undefined;
  }

  /**
   * Makes everything that the log holds durable in its place, and the log void.
   * @throws READ_ONLY after a failure: a record that was refused keeps its pages, and whoever waits
   *   for them would wait again and again
   */
  async checkpoint(): Promise<void> {
    if (this.#log === undefined) return;
    this.#inner.checkSound?.();
    await this.#flushed();
    if (this.figures.records === 0) return;
    // Others may begin one, or a record, meanwhile. So this one takes its turn.
    await this.#inTurnOfRecords(async (log) => {
      await this.#endCheckpoint(log);
      this.#switch(log);
      await this.#endCheckpoint(log);
    });
  }

  /** Runs work while no record is under way. */
  async #inTurnOfRecords(work: (log: OpenLog) => Promise<void>): Promise<void> {
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
    const log = this.#log;
    if (log === undefined) return;
    this.#running = work(log).finally(() => (this.#running = undefined));
    await this.#running;
  }

  /** Continues in the other half, which is free. No record is under way. */
  #switch(log: OpenLog): void {
    if (log.position === 0) return;
    [log.pages, log.otherPages] = [log.otherPages, log.pages];
    log.otherLast = log.sequence;
    log.half = 1 - log.half;
    log.position = 0;
  }

  /** Frees the other half; at once if it is free. */
  #endCheckpoint(log: OpenLog): Promise<void> {
    if (log.otherLast === undefined) return this.#checkpoint ?? Promise.resolve();
    return (this.#checkpoint ??= this.#makeDurableInPlace(log, log.otherLast).finally(
      () => (this.#checkpoint = undefined),
    ));
  }

  async #makeDurableInPlace(log: OpenLog, last: number): Promise<void> {
    await this.#sync();
    await this.#writeThrough(doneOffset(log.area), wordBytes(BigInt(last)), [], 1);
    log.otherPages.clear();
    log.otherLast = undefined;
    this.figures.checkpoints++;
  }

  /** A barrier of the medium behind. */
  async #sync(): Promise<void> {
    const stored = this.#stored;
    await this.#inner.barrier();
    if (stored > this.#synced) this.#synced = stored;
  }

  /** A failure leaves something that nobody can rely on. @throws READ_ONLY from then on */
  async #writeThrough(
    offset: number,
    bytes: Uint8Array,
    then: readonly RecordEntry[],
    callers: number,
  ): Promise<void> {
    try {
      await this.#inner.writeThrough?.(offset, bytes, then, callers);
    } catch (error) {
      throw this.#inner.fail?.('its log could not be stored', error) ?? error;
    }
  }

  // ---- filling and appending records ----

  /** Waits until what was put into the log before is durable, and in its place. */
  #flushed(): Promise<void> {
    if (!this.#record.isEmpty) return this.#flush();
    return this.#next ?? this.#running ?? Promise.resolve();
  }

  /** Appends the record that is being filled, when its turn comes. */
  #flush(): Promise<void> {
    this.#callers++;
    return (this.#next ??= this.#appendAfter());
  }

  async #appendAfter(): Promise<void> {
    await endOfTurn();
    while (this.#running !== undefined) await this.#running.catch(() => undefined);
    this.#next = undefined;
    const record = this.#record;
    const callers = this.#callers;
    this.#record = new LogRecord(2 * record.paddedBytes);
    this.#callers = 0;
    this.#runningPages = this.#recordPages;
    this.#recordPages = new Set();
    return (this.#running = this.#append(record, callers).finally(() => {
      this.#running = undefined;
      this.#runningPages = new Set();
    }));
  }

  async #append(record: LogRecord, callers: number): Promise<void> {
    const log = this.#log;
    if (log === undefined) throw new BedrockError('INTERNAL', 'a record for a pool without a log');
    const bytes = record.paddedBytes;
    const half = halfOf(log.area);
    // The sequence of a record that may be torn is durably used up before the next one.
    if (this.figures.records === 0) await this.#endCheckpoint(log);
    if (log.position + bytes > half) {
      await this.#endCheckpoint(log);
      this.#switch(log);
      // In the background; whoever needs that half waits for it.
      this.#endCheckpoint(log).catch(() => undefined);
    }
    const offset = offsetOfHalf(log.area, log.half) + log.position;
    // Before anything is in its place.
    for (const page of this.#runningPages) log.pages.add(page);
    const finished = record.finish(log.sequence + 1, log.pool);
    await this.#writeThrough(offset, finished, record.entries(), callers);
    log.sequence++;
    log.position += bytes;
    this.figures.records++;
    this.figures.bytes += bytes;
    this.#isBusy = true;
    if (this.#idles) this.#timer ??= setTimeout(() => this.#idle(), IDLE_MS).unref();
  }

  /** Makes the log void when nothing has been appended for a while. */
  #idle(): void {
    this.#timer = undefined;
    const wasBusy = this.#isBusy;
    this.#isBusy = false;
    if (wasBusy) this.#timer = setTimeout(() => this.#idle(), IDLE_MS).unref();
    else void this.checkpoint().catch(() => undefined);
  }

  /** Whether a store goes into the log. */
  #isLogged(offset: number, length: number): boolean {
    return this.#log !== undefined && length <= this.#log.storeBytes && offset >= HEADERS_BYTES;
  }

  /**
   * What a store into the log has to wait for: stores past it, under way to the same bytes, or room
   * in the record.
   */
  #obstacle(offset: number, length: number): Promise<void> | undefined {
    if (this.#log !== undefined && this.#record.bytes >= this.#log.recordBytes) return this.#flush();
    for (const { from, to, ended } of this.#passing) if (offset < to && from < offset + length) return ended;
    return undefined;
  }

  /** Puts a store into the record that is being filled; nothing is in its way. */
  #add(offset: number, bytes: Uint8Array): void {
    this.#record.add(offset, bytes);
    this.#notePages(offset, bytes.length);
  }

  #notePages(offset: number, length: number): void {
    const last = Math.floor((offset + length - 1) / PAGE_BYTES);
    for (let page = Math.floor(offset / PAGE_BYTES); page <= last; page++) this.#recordPages.add(page);
  }

  /** `#add`, when nothing is in its way. */
  #put(offset: number, bytes: Uint8Array): Eventually<void> {
    const obstacle = this.#obstacle(offset, bytes.length);
    if (obstacle === undefined) {
      this.#add(offset, bytes);
      return undefined;
    }
    const copy = bytes.slice();
    return obstacle.then(() => this.#put(offset, copy));
  }

  /** Puts a store into the log; it is durable and in its place when this ends. */
  #putDurably(offset: number, bytes: Uint8Array): Promise<void> {
    const waiting = this.#put(offset, bytes);
    return waiting === undefined ? this.#flush() : waiting.then(() => this.#flush());
  }

  // ---- stores past the log ----

  /** Whether a record may store to a page of the range. */
  isInLog(offset: number, length: number): boolean {
    const log = this.#log;
    if (log === undefined || length === 0) return false;
    const first = Math.floor(offset / PAGE_BYTES);
    const last = Math.floor((offset + length - 1) / PAGE_BYTES);
    const parts = [log.pages, log.otherPages, this.#recordPages, this.#runningPages];
    for (const pages of parts) {
      if (pages.size === 0) continue;
      if (last - first < pages.size) {
        for (let page = first; page <= last; page++) if (pages.has(page)) return true;
      } else for (const page of pages) if (page >= first && page <= last) return true;
    }
    return false;
  }

  /** Makes a store past the log, when no record can store to its pages any more. */
  #past(offset: number, length: number, store: () => Eventually<void>): Eventually<void> {
    if (this.isInLog(offset, length)) return this.checkpoint().then(() => this.#past(offset, length, store));
    const stored = store();
    if (stored === undefined) {
      this.#stored++;
      return undefined;
    }
    const end = (): void => {
      this.#stored++;
      this.#passing.delete(passing);
    };
    const ended = stored.then(end, end);
    const passing = { from: offset, to: offset + length, ended };
    this.#passing.add(passing);
    return stored;
  }

  // ---- what the pool calls ----

  read(offset: number, into: Uint8Array): Eventually<void> {
    return this.#inner.read(offset, into);
  }

  /** A store to a page that is in the log goes into it too, as it must come after what is there. */
  write(offset: number, bytes: Uint8Array): Eventually<void> {
    if (this.#isLogged(offset, bytes.length) && this.isInLog(offset, bytes.length))
      return this.#putDurably(offset, bytes);
    return this.#past(offset, bytes.length, () => this.#inner.write(offset, bytes));
  }

  stage(offset: number, bytes: Uint8Array): Eventually<void> {
    if (this.#isLogged(offset, bytes.length)) return this.#put(offset, bytes);
    return this.#past(offset, bytes.length, () => this.#inner.stage(offset, bytes));
  }

  stageWord(offset: number, word: bigint): Eventually<void> {
    return this.#log === undefined
      ? this.#past(offset, WORD_BYTES, () => this.#inner.stageWord(offset, word))
      : this.#put(offset, wordBytes(word));
  }

  staysInOrder(size: number): boolean {
    return this.#log !== undefined && this.#isSettled && size <= this.#log.storeBytes;
  }

  writeDurably(offset: number, bytes: Uint8Array): Eventually<void> {
    if (this.#isLogged(offset, bytes.length)) return this.#putDurably(offset, bytes);
    const store = (): Eventually<void> =>
      this.#past(offset, bytes.length, () => this.#inner.writeDurably(offset, bytes));
    // A header may name space that the record being filled makes zeros.
    return this.#log === undefined ? store() : this.#flushed().then(store);
  }

  persist(): Promise<void> {
    return this.barrier();
  }

  async barrier(): Promise<void> {
    // What was in a record that failed is lost.
    this.#inner.checkSound?.();
    const flushed = this.#log === undefined ? undefined : this.#flushed();
    const isSynced = this.#log !== undefined && this.#stored === this.#synced;
    await Promise.all([flushed, isSynced ? undefined : this.#sync()]);
  }

  publish(offset: number, descriptor: Uint8Array): Eventually<void> {
    if (this.#log !== undefined) return this.#putDurably(offset, descriptor);
    return this.#past(offset, descriptor.length, () => this.#inner.publish(offset, descriptor));
  }

  publishWord(offset: number, word: bigint): Eventually<void> {
    if (this.#log !== undefined) return this.#putDurably(offset, wordBytes(word));
    return this.#past(offset, WORD_BYTES, () => this.#inner.publishWord(offset, word));
  }

  storeTogether(entries: readonly { offset: number; bytes: Uint8Array }[]): Promise<void> | undefined {
    const log = this.#log;
    if (log === undefined) return undefined;
    let bytes = 0;
    for (const entry of entries) bytes += entry.bytes.length + 3 * WORD_BYTES;
    return bytes > log.togetherBytes ? undefined : this.#storeTogether(entries);
  }

  async #storeTogether(entries: readonly { offset: number; bytes: Uint8Array }[]): Promise<void> {
    for (;;) {
      let obstacle: Promise<void> | undefined;
      for (const { offset, bytes } of entries) obstacle ??= this.#obstacle(offset, bytes.length);
      if (obstacle === undefined) break;
      await obstacle;
    }
    for (const { offset, bytes } of entries) if (bytes.length > 0) this.#add(offset, bytes);
    await this.#flush();
  }

  /** Not durable at once: whatever needs the zeros comes after them, in the log or past it. */
  clear(offset: number, length: number): Eventually<void> {
    if (this.#log === undefined || length > MAX_LOGGED_ZEROS)
      return this.#past(offset, length, () => this.#inner.clear(offset, length));
    return this.stageZeros(offset, length);
  }

  stageZeros(offset: number, length: number): Eventually<void> {
    if (this.#log === undefined) return this.stage(offset, ZEROS.subarray(0, length));
    const obstacle = this.#obstacle(offset, length);
    if (obstacle !== undefined) return obstacle.then(() => this.stageZeros(offset, length));
    this.#record.addZeros(offset, length);
    this.#notePages(offset, length);
    return undefined;
  }

  allocate(offset: number, length: number): Eventually<void> {
    return this.#inner.allocate(offset, length);
  }

  grow(offset: number, length: number): Eventually<void> {
    return this.#past(offset, length, () => this.#inner.grow(offset, length));
  }

  /** What was acknowledged is durable in the log, if not in its place, so a failure costs nothing. */
  async close(): Promise<void> {
    await this.checkpoint().catch(() => undefined);
    clearTimeout(this.#timer);
    await this.#inner.close();
  }
}

function wordBytes(word: bigint): Buffer {
  const bytes = Buffer.alloc(WORD_BYTES);
  bytes.writeBigUInt64LE(word);
  return bytes;
}
