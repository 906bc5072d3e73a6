/**
 * Where one test works: it makes the targets that the test asks for, and afterwards closes and disposes of all of them.
 *
 * What a close waits for, sources and mappings, is begun here too and ended before the targets are closed: a test that fails half
 * way must not leave a close waiting for ever.
 */
import { BedrockError, messageOf } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { RegionMapping, Target } from '../contract/target.js';
import { eventually, Gate, heldBack, inFlight } from './assertions.js';
import type { TargetFactory } from './factory.js';

/** A createAndWrite whose source has given all its bytes and not yet ended. */
export interface SlowCreate {
  readonly created: Promise<RegionId>;
  /** Resolves when the target has taken all bytes, in this process at least. */
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
    /** A fresh target, open. */
    readonly target: Target,
  ) {
    this.#targets.push(target);
  }

  static async setUp(factory: TargetFactory): Promise<Bench> {
    const bench = new Bench(factory, await factory.create());
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
    for (const target of this.#targets) await this.factory.dispose?.(target);
    if (failures.length > 0) throw new AggregateError(failures, failures.map(messageOf).join('; '));
  }

  /** A fresh target on storage of its own, not open. */
  async closed(): Promise<Target> {
    return this.#keep(await this.factory.create());
  }

  /** A second open target, on storage of its own. */
  async another(): Promise<Target> {
    const target = await this.closed();
    await target.open();
    return target;
  }

  /** An open target with about so much capacity. Only for rules that hold where space is bounded. */
  async bounded(capacityBytes: number): Promise<Target> {
    if (this.factory.createBounded === undefined) throw missing('createBounded');
    const target = this.#keep(await this.factory.createBounded(capacityBytes));
    await target.open();
    return target;
  }

  /** An open target, fresh, with this pool id. Only for rules of importable targets whose factory makes such. */
  async importing(poolId: Uint8Array): Promise<Target> {
    if (this.factory.createImporting === undefined) throw missing('createImporting');
    const target = this.#keep(await this.factory.createImporting(poolId));
    await target.open();
    return target;
  }

  /** Closes a target and gives an open one over the same storage: a second object, or the same. */
  async reopened(target: Target, object: 'same' | 'second'): Promise<Target> {
    await target.close();
    return this.successor(target, object);
  }

  /** An open target over the storage of one that is closed. */
  async successor(target: Target, object: 'same' | 'second'): Promise<Target> {
    let next = target;
    if (object === 'second') {
      if (this.factory.reopen === undefined) throw missing('reopen');
      next = this.#keep(await this.factory.reopen(target));
    }
    await next.open();
    return next;
  }

  /** A target object over the same storage as another one, not open. */
  async rival(target: Target): Promise<Target> {
    if (this.factory.reopen === undefined) throw missing('reopen');
    return this.#keep(await this.factory.reopen(target));
  }

  /** An open target over what a kill leaves of the storage of an open one. */
  async crashed(target: Target): Promise<Target> {
    if (this.factory.crash === undefined) throw missing('crash');
    const next = this.#keep(await this.factory.crash(target));
    await next.open();
    return next;
  }

  /** Begins to make a region of a slow source. */
  beginCreate(target: Target, size: number, bytes: Uint8Array): SlowCreate {
    const gate = this.#gate();
    const taken = new Gate();
    const created = inFlight(target.createAndWrite({ size, source: heldBack([bytes], gate, taken) }));
    return { created, taken: taken.passed, finish: () => gate.open() };
  }

  /** The same under an ID of elsewhere. */
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

  /** Checks what must follow a call that broke off: at once, or a moment later where calls travel. */
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

  #keep(target: Target): Target {
    this.#targets.push(target);
    return target;
  }
}

function missing(method: string): BedrockError {
  return new BedrockError('INTERNAL', `a rule needs ${method}, which the factory does not have`);
}
