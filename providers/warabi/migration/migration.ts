/**
 * One migration, at its source: copies the targets of a provider to a provider of another
 * daemon while they serve, and then has that provider serve in their place.
 *
 * 1. Begin: the destination's empty targets take the pool IDs, and serve nobody from then on.
 * 2. Copy all regions, with their IDs, names and times, and the IDs of erased ones. Changes
 *    meanwhile are recorded (change-gate.ts), and copied again, pass after pass, until little is
 *    left.
 * 3. Hold changes, and copy the rest. If this takes longer than `max_hold_ms`, changes continue,
 *    and so do the passes.
 * 4. Note durably that the destination is about to be told (`finishing`). From here on, a restarted
 *    source serves nobody until the migration is repeated, since the destination may already serve.
 * 5. The destination notes durably that it serves.
 * 6. Note durably that the targets have moved. Changes that were held, and all later calls, get
 *    PROVIDER_MOVED.
 *
 * A failure before step 4 leaves the source as it was, and a destination that says that it is
 * unfinished. The next migration continues with it. No change is acknowledged here that the
 * destination does not have.
 */
import {
  BedrockError,
  explain,
  type Logger,
  type OperationContext,
  type Target,
} from '../../../core/index.js';
import type { ProviderAddress } from '../state-file.js';
import { isWatchable, poolIdOf, type TargetSlot } from '../target-slot.js';
import type { TransferManager } from '../transfer-manager.js';
import { ChangedRegions } from './changed-regions.js';
import { Copier } from './copier.js';
import type { Destination } from './destination.js';
import type { MigrateOptions } from './options.js';
import { Pacer } from './pacer.js';
import type { DestinationState } from './wire.js';

/** What a migration did. */
export interface MigrateResult {
  readonly address: string;
  readonly provider: string;
  readonly regions: number;
  /** Bytes that were sent, including bytes that were sent again because they changed. */
  readonly sentBytes: number;
  /** Passes over what had changed, including the last one, during which changes were held. */
  readonly passes: number;
  /** How long changes had to wait, milliseconds. */
  readonly holdMs: number;
  readonly durationMs: number;
}

/** If no more than this is left, changes are held for the last pass. */
const FEW_BYTES = 2 ** 22;
const FEW_REGIONS = 1000;
/** After this many passes, changes are held even if they come as fast as they are sent. */
const MAX_PASSES = 8;
/** How often the last pass may take too long. */
const MAX_HOLDS = 3;

/** One target that is being migrated. */
interface Moving {
  readonly slot: TargetSlot;
  readonly poolId: string;
  readonly source: Target;
  readonly changed: ChangedRegions;
  readonly copier: Copier;
  readonly watch: { hold(patienceMs: number): Promise<void>; release(): void; end(): void };
  readonly isResumed: boolean;
}

export class Migration {
  readonly #begun = performance.now();
  #doneBytes = 0;
  #doneRegions = 0;
  #passes = 0;
  #holdMs = 0;

  constructor(
    private readonly name: string,
    private readonly slots: readonly TargetSlot[],
    private readonly transfers: TransferManager,
    private readonly logger: Logger,
    private readonly destination: Destination,
    private readonly options: MigrateOptions,
    private readonly progress: OperationContext,
  ) {}

  async run(): Promise<MigrateResult> {
    const { slots, destination } = this;
    const pools: { poolId: string; named: boolean }[] = [];
    for (const { state, target, capabilities } of slots) {
      // The target itself, since what the doors get may refuse every call.
      if (state !== undefined) pools.push({ poolId: state.poolId, named: false });
      else {
        const named = capabilities.named && (await target.names({ limit: 1 })).names.length > 0;
        pools.push({ poolId: await poolIdOf(target), named });
      }
    }
    const answers = await destination.begin(pools);
    const states = answers.map(({ state }) => state);
    await this.#compareStates(states, pools);
    const moving = slots.flatMap((slot, index): Moving[] => {
      const state = states[index];
      return state === 'finished'
        ? []
        : [this.#moving(slot, pools[index]?.poolId ?? '', state === 'resumed')];
    });
    try {
      if (moving.length > 0) await this.#copy(moving);
      await this.#finish(pools, moving);
    } finally {
      // Has no effect once all changes are refused.
      for (const { watch } of moving) watch.end();
    }
    const { address, provider } = destination.providerAddress;
    const result: MigrateResult = {
      address,
      provider,
      regions: this.#doneRegions,
      sentBytes: moving.reduce((sum, { copier }) => sum + copier.sentBytes, 0),
      passes: this.#passes,
      holdMs: Math.round(this.#holdMs),
      durationMs: Math.round(performance.now() - this.#begun),
    };
    this.logger.info(`provider "${this.name}" has moved to provider "${provider}" at ${address}`, {
      ...result,
    });
    return result;
  }

  /**
   * Compares the destination's states with those noted here, and takes back targets that it has not
   * begun to serve.
   */
  async #compareStates(
    states: readonly DestinationState[],
    pools: readonly { poolId: string }[],
  ): Promise<void> {
    const { slots, destination } = this;
    const { address, provider } = destination.providerAddress;
    const isBroken = (slot: TargetSlot): boolean => slot.state?.role === 'finishing';
    for (const [index, slot] of slots.entries()) {
      const state = states[index];
      if (state === 'finished' && slot.state === undefined)
        throw new BedrockError(
          'CONFLICT',
          `provider "${provider}" at ${address} serves the pool ${pools[index]?.poolId ?? ''} already: it is this provider itself, or has a copy of its data`,
        );
      if (state !== 'begun' || slot.state === undefined) continue;
      // Another provider may serve the regions.
      await destination.abandon(pools.map(({ poolId }) => poolId));
      throw new BedrockError(
        'CONFLICT',
        `provider "${provider}" at ${address} does not know the interrupted migration; repeat it to its former destination, or abandon it there`,
        { details: 'to' in slot.state ? { ...slot.state.to } : {} },
      );
    }
    const haveSomeBegun = states.includes('finished');
    for (const [index, slot] of slots.entries()) {
      if (!isBroken(slot) || states[index] === 'finished') continue;
      if (haveSomeBegun) slot.allowCopy();
      else await slot.takeBack();
    }
  }

  #moving(slot: TargetSlot, poolId: string, isResumed: boolean): Moving {
    const { target: source, index } = slot;
    if (!isWatchable(source)) throw new BedrockError('INTERNAL', 'the target changed its kind');
    const changed = new ChangedRegions();
    const copier = new Copier(source, this.destination, changed, {
      index,
      transferBytes: this.options.transfer_size,
      inFlight: this.transfers.inFlight,
      pacer: this.#pacer,
      signal: this.progress.signal,
      onBytes: (bytes) => {
        this.#doneBytes += bytes;
        this.progress.report({ doneBytes: this.#doneBytes });
      },
      onRegion: () => {
        this.#doneRegions++;
        this.progress.report({ doneRegions: this.#doneRegions });
      },
    });
    return { slot, poolId, source, changed, copier, watch: source.watchChanges(changed), isResumed };
  }

  /** One pacer for all targets. */
  get #pacer(): Pacer {
    return (this.#onePacer ??= new Pacer(this.options.max_bytes_per_second));
  }
  #onePacer: Pacer | undefined;

  // ---- copy ----

  /** Copies all regions, and holds changes at the end. If it throws, changes continue. */
  async #copy(moving: readonly Moving[]): Promise<void> {
    await this.#announce(moving);
    for (const { copier, isResumed } of moving) await copier.copyAll(isResumed);
    for (let holds = 1; ; holds++) {
      for (let passes = 0; passes < MAX_PASSES && !isFew(moving); passes++) await this.#pass(moving);
      if (await this.#lastPass(moving, holds)) return;
    }
  }

  async #announce(moving: readonly Moving[]): Promise<void> {
    let [totalBytes, totalRegions] = [0, 0];
    for (const { source } of moving) {
      let after: Parameters<Target['list']>[0];
      do {
        const { regions, next } = await source.list(after);
        totalRegions += regions.length;
        for (const { size } of regions) totalBytes += size;
        after = next && { after: next };
        this.progress.signal.throwIfAborted();
      } while (after !== undefined);
    }
    this.progress.report({ doneBytes: 0, totalBytes, doneRegions: 0, totalRegions });
  }

  async #pass(moving: readonly Moving[], mayGoOn: () => void = () => undefined): Promise<void> {
    this.#passes++;
    for (const { changed, copier } of moving) {
      const regions = changed.take();
      try {
        await copier.sendChanged(regions, mayGoOn);
      } catch (error) {
        // If the migration continues, these are still to be sent.
        for (const { id, ranges } of regions) {
          changed.changed(id);
          for (const { offset, size } of ranges) changed.wrote(id, offset, size);
        }
        throw error;
      }
    }
  }

  /**
   * Holds changes and sends the rest.
   * @returns true: everything was sent, and changes are held; false: changes continue
   */
  async #lastPass(moving: readonly Moving[], holds: number): Promise<boolean> {
    const { max_hold_ms: holdMs } = this.options;
    const begun = performance.now();
    const late = new BedrockError(
      'TIMEOUT',
      `changes had to wait longer than max_hold_ms, ${holdMs} ms, for the last pass; let programs write less, or raise max_hold_ms`,
    );
    let isDone = false;
    try {
      await Promise.all(moving.map(({ watch }) => watch.hold(holdMs)));
      const mayGoOn = (): void => {
        if (performance.now() - begun > holdMs) throw late;
      };
      // A pass may find that a slot was not free yet. The next pass sends its region.
      do await this.#pass(moving, mayGoOn);
      while (moving.some(({ changed }) => changed.count > 0));
      isDone = true;
    } catch (error) {
      if (!(error instanceof BedrockError) || error.code !== 'TIMEOUT' || holds >= MAX_HOLDS) throw error;
      this.logger.info(
        `provider "${this.name}": ${error.message}; changes continue, and so does the migration`,
      );
    } finally {
      this.#holdMs = Math.max(this.#holdMs, performance.now() - begun);
      if (!isDone) for (const { watch } of moving) watch.release();
    }
    return isDone;
  }

  // ---- finish ----

  async #finish(pools: readonly { poolId: string }[], moving: readonly Moving[]): Promise<void> {
    const { destination, slots } = this;
    const to = destination.providerAddress;
    this.progress.signal.throwIfAborted();
    const counts = new Map<TargetSlot, number>();
    for (const { slot, source } of moving) counts.set(slot, (await source.stats()).regions);
    const targets = slots.map((slot, index) => ({
      poolId: pools[index]?.poolId ?? '',
      regions: counts.get(slot) ?? 0,
    }));
    const begun = performance.now();
    await this.#beginEnd(moving, to);
    try {
      await destination.finish(targets);
    } catch (error) {
      if (mayHaveFinished(error)) {
        for (const { slot } of moving) slot.refuseHeld();
        throw new BedrockError(
          'MIGRATION_UNFINISHED',
          `it is not known whether provider "${to.provider}" at ${to.address} has begun to serve: ${explain(error)}; nobody is served here until the migration is repeated`,
          { details: { ...to }, cause: error },
        );
      }
      for (const { slot } of moving) await slot.takeBack();
      throw error;
    }
    for (const [index, slot] of slots.entries())
      if (slot.state?.role === 'finishing')
        await slot.retire(pools[index]?.poolId ?? '', to, this.options.remove_source);
    this.#holdMs += performance.now() - begun;
  }

  async #beginEnd(moving: readonly Moving[], to: ProviderAddress): Promise<void> {
    const noted: TargetSlot[] = [];
    try {
      for (const { slot, poolId } of moving) {
        await slot.beginEnd(poolId, to);
        noted.push(slot);
      }
    } catch (error) {
      for (const slot of noted) await slot.takeBack();
      throw error;
    }
  }
}

function isFew(moving: readonly Moving[]): boolean {
  let [bytes, regions] = [0, 0];
  for (const { changed } of moving) {
    bytes += changed.bytes;
    regions += changed.count;
  }
  return bytes <= FEW_BYTES && regions <= FEW_REGIONS;
}

/** Whether the destination may have carried out a `finish` that failed with this error. */
function mayHaveFinished(error: unknown): boolean {
  if (!(error instanceof BedrockError)) return true;
  return !DEFINITE.has(error.code);
}

/** Codes with which a destination refuses before it does anything. */
const DEFINITE: ReadonlySet<string> = new Set(['CONFLICT', 'CHECKSUM_MISMATCH', 'INVALID_ARGUMENT']);
