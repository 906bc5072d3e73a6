/**
 * Runs a program on a pool: the real target over a simulated medium, with calls in flight together,
 * kills and reopening. What comes of it is the trace of the medium, with notes of what was asked
 * for and acknowledged in between.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Change, RegionId, Target } from '../../core/index.js';
import type { Call, Ledger, Note } from './ledger.js';
import type { MadeRegion, NameCall, NameChange } from './name-ledger.js';
import { observe } from './observation.js';
import type { KeyChange, Name, Operation, Program, Stage } from './program.js';
import { Random } from '../fixtures/random.js';
import { SimulatedMedia, type TraceEvent } from './simulated-media.js';
import { simulatedTarget, unitBytesOf, type Flaw, type PoolShape } from './simulated-pool.js';
import { ProcessKilled, SimulatedProcess } from './simulated-process.js';

/** Turns in which nothing happens before a call counts as stuck. */
const MAX_IDLE_TURNS = 200;

/** What an operation may fail with without harm. */
const REFUSALS = ['OUT_OF_SPACE', 'NAME_TAKEN', 'REGION_NOT_FOUND', 'OUT_OF_RANGE', 'INVALID_ARGUMENT'];

export interface Start {
  readonly shape: PoolShape;
  /** What the medium holds; taken over. */
  readonly bytes: Uint8Array;
  readonly ledger: Ledger;
  readonly seed: number;
  readonly flaw?: Flaw | undefined;
}

interface Known {
  readonly id: RegionId;
  readonly size: number;
}

/** @returns everything that happened. @throws if the pool went wrong without any power failure */
export async function runProgram(start: Start, program: Program): Promise<readonly TraceEvent[]> {
  const run = new ProgramRun(start);
  await run.open();
  for (const stage of program) await run.stage(stage);
  return run.media.trace ?? [];
}

class ProgramRun {
  readonly media: SimulatedMedia;
  readonly #shape: PoolShape;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #flaw: Flaw | undefined;
  readonly #known = new Map<string, Known>();
  /** Regions with names, as they were seen or made last. */
  readonly #keys = new Map<string, { readonly key: string; readonly size: number }>();
  #process = new SimulatedProcess();
  #target: Target | undefined;
  #calls = 0;
  #time = 1000;

  constructor({ shape, bytes, ledger, seed, flaw }: Start) {
    this.media = new SimulatedMedia(bytes, unitBytesOf(shape.mode), true);
    this.#shape = shape;
    this.#ledger = ledger;
    this.#random = new Random(seed);
    this.#flaw = flaw;
  }

  /** Starts a process that opens the pool. */
  async open(killAfter?: number): Promise<void> {
    this.#process = new SimulatedProcess(this.#random);
    const clock = { now: () => ++this.#time };
    const target = simulatedTarget(this.#shape, this.media, this.#process, clock, this.#flaw);
    this.#target = target;
    if (killAfter !== undefined) this.#killAfter(killAfter);
    const isOpen = await this.#drive(target.open().then(() => true));
    if (killAfter !== undefined) this.#kill();
    if (isOpen === true && killAfter === undefined) await this.#look();
    else await this.open();
  }

  async stage({ lanes, then }: Stage): Promise<void> {
    const isKill = typeof then === 'object';
    if (isKill) this.#killAfter(then.killAfter);
    const process = this.#process;
    const target = this.#target as Target;
    await this.#drive(Promise.all(lanes.map((lane) => this.#runLane(lane, target, process))));
    if (isKill) {
      this.#kill();
      await this.open(then.killRecoveryAfter);
      return;
    }
    await this.#look();
    if (then !== 'reopen') return;
    await this.#drive(target.close());
    await this.open();
  }

  #killAfter(events: number): void {
    let left = events;
    const process = this.#process;
    this.media.beforeEvent = () => {
      if (left-- > 0) return;
      this.media.beforeEvent = undefined;
      process.kill();
      throw new ProcessKilled();
    };
  }

  #kill(): void {
    this.media.beforeEvent = undefined;
    this.#process.kill();
    this.#note({ kind: 'kill' });
  }

  /** While nothing is in flight: all that is owed must be there, and nothing else. */
  async #look(): Promise<void> {
    const pool = await this.#drive(observe(this.#target as Target, this.media.bytes, this.#ledger.stale));
    if (pool === undefined) throw new Error('the process ended while somebody looked at the pool');
    this.#note({ kind: 'seen', pool });
    this.#keys.clear();
    for (const { name, size } of pool.regions)
      if (name !== undefined) this.#keys.set(name, { key: name, size });
    const names = new Set(pool.regions.map(({ id }) => id));
    for (const [name, { id }] of this.#known) if (!names.has(id.toString())) this.#known.delete(name);
  }

  /** Lets jobs go on until a promise is settled. @returns undefined if the process was killed before */
  async #drive<T>(work: Promise<T>): Promise<T | undefined> {
    const process = this.#process;
    const outcome = { isSettled: false };
    const settled = work.finally(() => (outcome.isSettled = true));
    settled.catch(() => undefined);
    for (let idle = 0; ;) {
      await turn();
      if (!process.isAlive()) return undefined;
      if (outcome.isSettled) return settled;
      try {
        if (process.step()) idle = 0;
        else if (++idle > MAX_IDLE_TURNS) throw new Error('a call never ends');
      } catch (error) {
        if (!(error instanceof ProcessKilled)) throw error;
      }
    }
  }

  async #runLane(lane: readonly Operation[], target: Target, process: SimulatedProcess): Promise<void> {
    for (const operation of lane) {
      for (let wait = this.#random.below(3); wait > 0; wait--) await turn();
      if (!process.isAlive()) return;
      const number = ++this.#calls;
      const call = this.#callOf(operation, number);
      if (call === undefined) continue;
      this.#note({ kind: 'begin', number, call });
      let made: RegionId | undefined;
      if (call.what === 'names') {
        if (!(await this.#changeNames(number, call, target, process))) return;
        continue;
      }
      try {
        made = await this.#carryOut(operation, call, target);
      } catch (error) {
        if (!process.isAlive()) return;
        if (!REFUSALS.includes(String((error as { code?: unknown }).code))) throw error;
        this.#note({ kind: 'fail', number });
        continue;
      }
      if (!process.isAlive()) return;
      if (made === undefined) {
        this.#note({ kind: 'end', number });
        continue;
      }
      const { size, createdAt } = await target.stat(made);
      this.#note({ kind: 'end', number, id: made.toString(), createdAt });
      if ('name' in operation) this.#known.set(String(operation.name), { id: made, size });
    }
  }

  /** What the ledger has to know of an operation; nothing if its region is not known yet, or not any more. */
  #callOf(operation: Operation, number: number): Call | undefined {
    if (operation.do === 'names') return this.#nameCallOf(operation.changes, number);
    if (operation.do === 'create') return { what: 'create', size: operation.size };
    if (operation.do === 'breakOff')
      return { what: 'create', size: operation.size, contents: contentsOf(number, operation.size) };
    if (operation.do === 'createAndWrite') {
      const { size, persist = false } = operation;
      const isDurable = persist || this.#shape.syncWrites;
      return { what: 'create', size, contents: contentsOf(number, size), isDurable };
    }
    const known = this.#find(operation.name);
    if (known === undefined) return undefined;
    const id = known.id.toString();
    if (operation.do === 'erase') return { what: 'erase', id };
    if (operation.do === 'persist') return { what: 'persist', id, offset: 0, size: known.size };
    const offset = Math.min(operation.offset, known.size);
    const bytes = contentsOf(number, Math.min(operation.size, known.size - offset));
    const isView = operation.do === 'store' && !['file', 'logged'].includes(this.#shape.mode);
    const isDurable =
      !isView && (this.#shape.syncWrites || (operation.do === 'write' && operation.persist === true));
    return { what: 'write', id, offset, bytes, isDurable };
  }

  #nameCallOf(changes: readonly KeyChange[], number: number): NameCall | undefined {
    const sizes = new Map<string, number>();
    for (const { key, size } of this.#keys.values()) sizes.set(key, size);
    const made: NameChange[] = [];
    for (const [index, change] of changes.entries()) {
      const { what, key } = change;
      const size = sizes.get(key);
      if (what === 'put') {
        made.push({ what, key, contents: contentsOf(100 * number + index, change.size) });
        sizes.set(key, change.size);
        continue;
      }
      if (size === undefined) continue;
      if (what === 'write') {
        const offset = Math.min(change.offset, size);
        const bytes = contentsOf(100 * number + index, Math.min(change.size, size - offset));
        made.push({ what, key, offset, bytes });
        continue;
      }
      sizes.delete(key);
      if (what === 'rename') sizes.set(change.to, size);
      made.push(change);
    }
    const [first] = made;
    if (first === undefined) return undefined;
    const mixes = made.length === 1 && first.what === 'write';
    return { what: 'names', domain: first.key.slice(0, first.key.indexOf('/')), changes: made, mixes };
  }

  /** @returns false if the process is gone */
  async #changeNames(
    number: number,
    { changes }: NameCall,
    target: Target,
    process: SimulatedProcess,
  ): Promise<boolean> {
    let ids: readonly (RegionId | null)[];
    try {
      ids = await carryOutNames(changes, target);
    } catch (error) {
      if (!process.isAlive()) return false;
      if (!REFUSALS.includes(String((error as { code?: unknown }).code))) throw error;
      this.#note({ kind: 'fail', number });
      return true;
    }
    if (!process.isAlive()) return false;
    const made: MadeRegion[] = [];
    for (const [index, id] of ids.entries()) {
      if (id === null) continue;
      // One that a later change replaces or renames is not looked for.
      const key = (changes[index] as NameChange).key;
      const stat = await target.find(key).catch(() => undefined);
      if (stat?.id.equals(id) === true) made.push({ key, id: id.toString(), createdAt: stat.createdAt });
    }
    this.#note({ kind: 'end', number, made });
    for (const change of changes) {
      const known = this.#keys.get(change.key);
      if (change.what === 'put')
        this.#keys.set(change.key, { key: change.key, size: change.contents.length });
      else if (change.what !== 'write') this.#keys.delete(change.key);
      if (change.what === 'rename' && known !== undefined)
        this.#keys.set(change.to, { key: change.to, size: known.size });
    }
    return true;
  }

  #find(name: Name): Known | undefined {
    if (typeof name === 'string') return this.#known.get(name);
    return [...this.#known.values()][name % Math.max(1, this.#known.size)];
  }

  async #carryOut(
    operation: Operation,
    call: Exclude<Call, NameCall>,
    target: Target,
  ): Promise<RegionId | undefined> {
    if (operation.do === 'breakOff') {
      await target.createAndWrite({ size: operation.size, source: failingSource(call) });
      throw new Error('a region was made of a source that failed');
    }
    if (call.what === 'create') {
      if (operation.do === 'create') return target.create(call.size);
      const persist = operation.do === 'createAndWrite' && operation.persist === true;
      return target.createAndWrite(call.contents as Uint8Array, { persist });
    }
    const { id } = this.#find((operation as { name: Name }).name) as Known;
    if (call.what === 'erase') {
      await target.erase(id);
      for (const [name, known] of this.#known) if (known.id.equals(id)) this.#known.delete(name);
    } else if (call.what === 'persist') {
      await target.persist(id);
    } else if (operation.do === 'store' && !['file', 'logged'].includes(this.#shape.mode)) {
      await this.#storeThroughView(id, call.offset, call.bytes, target);
    } else {
      const persist = operation.do === 'write' && operation.persist === true;
      await target.write(id, call.offset, call.bytes, { persist });
    }
    return undefined;
  }

  /** The processor stores into the medium, which nobody but the medium sees. */
  async #storeThroughView(id: RegionId, offset: number, bytes: Uint8Array, target: Target): Promise<void> {
    const process = this.#process;
    const mapping = await target.map(id);
    process.checkAlive();
    const view = mapping.views[0];
    if (view !== undefined && bytes.length > 0) this.media.store(view.byteOffset + offset, bytes);
    mapping.release();
  }

  #note(note: Note): void {
    this.media.note(note);
    this.#ledger.take(note);
  }
}

/** @returns IDs of regions that were made, by change */
async function carryOutNames(
  changes: readonly NameChange[],
  target: Target,
): Promise<readonly (RegionId | null)[]> {
  const [only] = changes;
  if (only === undefined || changes.length > 1) return (await target.transact(changes.map(asChange))).ids;
  if (only.what === 'put') return [await target.put(only.key, only.contents)];
  if (only.what === 'erase') await target.erase(only.key);
  else if (only.what === 'rename') await target.rename(only.key, only.to, { replace: true });
  else await target.write(only.key, only.offset, only.bytes, { persist: true });
  return [null];
}

function asChange(change: NameChange): Change {
  switch (change.what) {
    case 'put':
      return { type: 'put', name: change.key, contents: change.contents };
    case 'erase':
      return { type: 'erase', ref: change.key };
    case 'rename':
      return { type: 'rename', ref: change.key, to: change.to, replace: true };
    default:
      return { type: 'write', ref: change.key, offset: change.offset, bytes: change.bytes };
  }
}

/** Bytes that no other call has, never zero. */
export function contentsOf(number: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at++)
    bytes[at] = 1 + (((Math.imul(number, 0x9e37) >>> 0) + at * 7 + (at >> 5)) % 255);
  return bytes;
}

function* failingSource(call: Call): Generator<Uint8Array> {
  const contents = (call.what === 'create' ? call.contents : undefined) as Uint8Array;
  yield contents.subarray(0, Math.ceil(contents.length / 2));
  throw Object.assign(new Error('the source has failed'), { code: 'INVALID_ARGUMENT' });
}
