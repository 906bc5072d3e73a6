/**
 * What a rados target is before its calls: it opens and closes, counts calls, and can be filled and
 * copied.
 */
import { types } from 'node:util';
import {
  type BackendContext,
  BedrockError,
  type ChangeListener,
  type ChangeWatch,
  checkRef,
  explain,
  Lifecycle,
  type RecoveryReport,
  type RegionId,
  type RegionRef,
} from '../../core/index.js';
import { CallsInFlight } from './calls-in-flight.js';
import { idOf, keyOf } from './catalog-entries.js';
import { Changes } from './changes.js';
import { Objects, type RadosSettings } from './cluster.js';
import { Copying } from './copying.js';
import { Creations } from './creations.js';
import { Imports } from './imports.js';
import { invalid, notFound, openStorage, type Storage } from './storage.js';

/** How often a call by a name may find that the name has moved on. */
const MOST_LOOKS = 1000;

/** What there is while the target is open. */
interface Parts extends Storage {
  readonly changes: Changes;
  readonly creations: Creations;
  readonly imports: Imports;
}

/** What a target gets beside its settings. */
export interface RadosOptions {
  /** How long another daemon may show no sign of life, milliseconds. */
  readonly leaseMs?: number | undefined;
  /** For a new namespace, 8 bytes. */
  readonly poolId?: Uint8Array | undefined;
}

export abstract class OpenTarget extends Lifecycle {
  readonly type = 'rados';
  #parts: Parts | undefined;
  protected readonly copying = new Copying();

  constructor(
    private readonly config: RadosSettings,
    private readonly context: Pick<BackendContext, 'logger' | 'clock' | 'metrics'>,
    private readonly options: RadosOptions = {},
  ) {
    super(context.logger);
  }

  // ---- lifecycle ----

  protected async openStorage(): Promise<RecoveryReport> {
    const begun = performance.now();
    const { config, context, options } = this;
    const storage = await openStorage(config, context, options, {
      calls: new CallsInFlight(),
      within: (work) => this.#within(work),
      changed: (id) => this.copying.gate.listener?.changed(id),
    });
    const { regions, bytes } = storage.recovered;
    const changes = new Changes(storage);
    const creations = new Creations(storage, changes, this.logger, (change) => this.copying.changing(change));
    this.#parts = { ...storage, changes, creations, imports: new Imports(storage, creations) };
    return { regions, bytes, quarantined: 0, durationMs: performance.now() - begun };
  }

  protected async closeStorage(): Promise<void> {
    const parts = this.#parts;
    this.#parts = undefined;
    if (parts === undefined) return;
    parts.health.stop();
    await parts.keeper.stop();
    try {
      await parts.catalog.close();
    } catch (error) {
      this.logger.warning(`the other daemons will take this one for dead: ${explain(error)}`);
    } finally {
      await parts.objects.close();
    }
  }

  protected async destroyStorage(): Promise<void> {
    const objects = await Objects.open(this.config);
    try {
      // The catalog first: without it no daemon makes a region known any more.
      await objects.write('catalog', [['remove']]);
      await objects.removeAll(() => true);
    } finally {
      await objects.close();
    }
  }

  protected get parts(): Parts {
    if (this.#parts === undefined) throw new BedrockError('TARGET_CLOSED', 'the rados target is not open');
    return this.#parts;
  }

  /** Work that outlives the call that has begun it; close waits for it. @returns whether it has begun */
  #within(work: () => Promise<unknown>): boolean {
    // While the target closes, nothing is removed any more: others do it.
    if (this.#parts === undefined) return false;
    this.enterWithin();
    work()
      .catch((error: unknown) => this.logger.warning(`clearing up after a failed call: ${explain(error)}`))
      .finally(() => this.leave());
    return true;
  }

  get isFilling(): boolean {
    return this.#parts?.catalog.settings.isFilling === true;
  }

  async beginFilling(poolId: Uint8Array): Promise<void> {
    if (!types.isUint8Array(poolId) || poolId.length !== 8) throw invalid('a pool id is 8 bytes');
    const text = Buffer.from(poolId).toString('hex');
    await this.call(() => this.parts.imports.checkEmpty());
    let failure: { error: unknown } | undefined;
    await this.alone(
      () => undefined,
      async () => {
        const { imports } = this.parts;
        try {
          // The calls that have just ended may have made a region.
          await imports.checkEmpty();
        } catch (error) {
          failure = { error };
          return;
        }
        await imports.empty(text);
      },
    );
    if (failure !== undefined) throw failure.error;
  }

  async endFilling(): Promise<void> {
    return this.call(() => this.parts.imports.setFilled());
  }

  /** @internal See `PinnedTarget.watchChanges`. */
  watchChanges(listener: ChangeListener): ChangeWatch {
    this.checkOpen();
    return this.copying.watch(listener, this.parts);
  }

  /** @internal See `PinnedTarget.refuseAll`. */
  refuseAll(error: BedrockError | undefined): void {
    this.refusal = error;
    this.copying.gate.refuse(error);
  }

  // ---- calls ----

  protected async call<T>(work: () => Promise<T>): Promise<T> {
    this.enter();
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  /** A call on a region, which an erasure by this daemon waits for. By an ID it counts from this step on. */
  protected async with<T>(ref: RegionRef, work: (key: string) => Promise<T>): Promise<T> {
    checkRef(ref);
    return this.call(async () => {
      if (typeof ref !== 'string') return this.#on(this.keyOf(ref), work);
      let { key } = await this.parts.changes.named(ref);
      for (let look = 0; ; look++) {
        try {
          return await this.#on(key, work);
        } catch (error) {
          if (!(error instanceof BedrockError) || error.code !== 'REGION_NOT_FOUND' || look > MOST_LOOKS)
            throw error;
          const now = await this.parts.changes.named(ref);
          if (now.key === key) throw error;
          ({ key } = now);
        }
      }
    });
  }

  async #on<T>(key: string, work: (key: string) => Promise<T>): Promise<T> {
    const { calls } = this.parts;
    calls.begin(key);
    try {
      return await work(key);
    } finally {
      calls.end(key);
    }
  }

  /** A change of a region: not while changes are held. */
  protected async changing(key: string, change: () => Promise<void>): Promise<void> {
    const { changed, catalog } = this.parts;
    await this.copying.changing(async () => {
      try {
        await change();
      } finally {
        changed(idOf(key, catalog.settings.poolId));
      }
    });
  }

  /** @throws REGION_NOT_FOUND for an ID of another namespace */
  protected keyOf(id: RegionId): string {
    const text = id.toString();
    if (!text.endsWith(this.parts.catalog.settings.poolId)) throw notFound(text);
    return keyOf(id);
  }
}
