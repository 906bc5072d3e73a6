/**
 * The workbench of one test: creates the targets that the test asks for, and afterwards closes and
 * disposes of all of them.
 *
 * Anything that a close waits for, sources and mappings, is also created here, and ended before the
 * targets are closed: a test that fails half-way must not make a close wait forever.
 */
import { BedrockError, messageOf } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionMapping, Target } from '../contract/target.js';
import { eventually, Gate, heldBack, inFlight } from './assertions.js';
import type { CallWatch } from './call-watch.js';
import type { TargetFactory } from './factory.js';

/** A createAndWrite whose source has given all its bytes but has not ended yet. */
export interface SlowCreate {
  readonly created: Promise<RegionId>;
  /** Resolves when the target has taken all bytes, at least in this process. */
  readonly taken: Promise<void>;
  /** Lets the source end. */
  readonly finish: () => void;
}

/** An importRegion of the same kind. */
export interface SlowImport {
  readonly imported: Promise<void>;
  readonly finish: () => void;
}

export class Bench {
  readonly #targets: Target[] = [];
  readonly #gates: Gate[] = [];
  readonly #mappings: RegionMapping[] = [];

  private constructor(
    readonly factory: TargetFactory,
    private readonly calls: CallWatch,
    /** A new target, open. */
    readonly target: Target,
  ) {
    this.#targets.push(target);
  }

  static async setUp(factory: TargetFactory, calls: CallWatch): Promise<Bench> {
    const target = calls.watched(await calls.noted('create of the factory', factory.create()));
    const bench = new Bench(factory, calls, target);
    try {
      await bench.target.open();
    } catch (error) {
      await bench.tearDown();
      throw error;
    }
    return bench;
  }

  async tearDown(): Promise<void> {
    for (const gate of this.#gates) gate.open();
    for (const mapping of this.#mappings) mapping.release();
    const failures: unknown[] = [];
    for (const target of this.#targets) {
      await target.close().catch((failure: unknown) => failures.push(failure));
    }
    for (const target of this.#targets)
      await this.#asked('dispose', this.factory.dispose?.(this.calls.innerOf(target)));
    if (failures.length > 0) throw new AggregateError(failures, failures.map(messageOf).join('; '));
  }

  /** A new target on its own storage, not open. */
  async closed(): Promise<Target> {
    return this.#made('create', this.factory.create());
  }

  /** A second open target, on its own storage. */
  async another(): Promise<Target> {
    const target = await this.closed();
    await target.open();
    return target;
  }

  /** An open target with approximately this capacity. Only for rules that apply if space is limited. */
  async bounded(capacityBytes: number): Promise<Target> {
    if (this.factory.createBounded === undefined) throw missing('createBounded');
    const target = await this.#made('createBounded', this.factory.createBounded(capacityBytes));
    await target.open();
    return target;
  }

  /**
   * A new open target with this pool id. Only for rules of importable targets whose factory can
   * create them.
   */
  async importing(poolId: Uint8Array): Promise<Target> {
    if (this.factory.createImporting === undefined) throw missing('createImporting');
    const target = await this.#made('createImporting', this.factory.createImporting(poolId));
    await target.open();
    return target;
  }

  /** Closes a target and returns an open one over the same storage: a second object, or the same. */
  async reopened(target: Target, object: 'same' | 'second'): Promise<Target> {
    await target.close();
    return this.successor(target, object);
  }

  /** An open target over the storage of a closed one. */
  async successor(target: Target, object: 'same' | 'second'): Promise<Target> {
    let next = target;
    if (object === 'second') {
      if (this.factory.reopen === undefined) throw missing('reopen');
      next = await this.#made('reopen', this.factory.reopen(this.calls.innerOf(target)));
    }
    await next.open();
    return next;
  }

  /** Another target object over the same storage, not open. */
  async rival(target: Target): Promise<Target> {
    if (this.factory.reopen === undefined) throw missing('reopen');
    return this.#made('reopen', this.factory.reopen(this.calls.innerOf(target)));
  }

  /** An open target over the storage that a kill leaves of an open target. */
  async crashed(target: Target): Promise<Target> {
    if (this.factory.crash === undefined) throw missing('crash');
    const next = await this.#made('crash', this.factory.crash(this.calls.innerOf(target)));
    await next.open();
    return next;
  }

  /** Begins to create a region from a slow source. */
  beginCreate(target: Target, size: number, bytes: Uint8Array): SlowCreate {
    const gate = this.#gate();
    const taken = new Gate();
    const created = inFlight(target.createAndWrite({ size, source: heldBack([bytes], gate, taken) }));
    return { created, taken: taken.passed, finish: () => gate.open() };
  }

  /** The same, under an imported ID. */
  beginImport(target: Target, id: RegionId, size: number, bytes: Uint8Array): SlowImport {
    const gate = this.#gate();
    const contents = { size, source: heldBack([bytes], gate) };
    const imported = inFlight(target.importRegion(id, contents, { createdAt: 1 }));
    return { imported, finish: () => gate.open() };
  }

  async map(target: Target, id: RegionId): Promise<RegionMapping> {
    const mapping = await target.map(id);
    this.#mappings.push(mapping);
    return mapping;
  }

  /**
   * Checks what must be true after an interrupted call: at once, or a little later if calls go to a
   * server.
   */
  settled(check: () => Promise<void>): Promise<void> {
    return this.factory.isRemote === true ? eventually(check) : check();
  }

  /** Bytes of space that a region uses. */
  spaceOf(size: number): number {
    return this.factory.spaceOf?.(size) ?? size;
  }

  #gate(): Gate {
    const gate = new Gate();
    this.#gates.push(gate);
    return gate;
  }

  #asked<T>(method: string, result: T): T {
    return this.calls.noted(`${method} of the factory`, result);
  }

  /** Registers what the factory creates. */
  async #made(method: string, making: Target | Promise<Target>): Promise<Target> {
    const target = this.calls.watched(await this.#asked(method, making));
    this.#targets.push(target);
    return target;
  }
}

function missing(method: string): BedrockError {
  return new BedrockError('INTERNAL', `a rule needs ${method}, which the factory does not have`);
}
