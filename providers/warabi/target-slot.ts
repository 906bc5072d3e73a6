/**
 * One target of a warabi provider, and what it is in a migration.
 *
 * | it | the doors get |
 * |---|---|
 * | serves | the target |
 * | takes in the regions of another target | MIGRATION_UNFINISHED |
 * | was told to end, and does not know whether its successor has begun | MIGRATION_UNFINISHED |
 * | has moved | PROVIDER_MOVED, which says where to |
 *
 * The IDs of regions end in the ID of their pool. So an empty target that is to take in the regions
 * of another one takes that one's pool ID by `beginFilling`, as for a restore, and says by
 * `isFilling`, durably, that it is not complete. The note beside its data is written before and
 * removed after; it only tells a migration from a restore. So after a crash a target with a note
 * that is not being filled has not begun, or has all: it serves.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import {
  BedrockError,
  type BaseTarget,
  type Capabilities,
  type ProviderContext,
  type Target,
} from '../../core/index.js';
import { RefusingTarget } from './refusing-target.js';
import { type MigrationState, type Place, StateFile } from './state-file.js';

/**
 * What copying a target while it serves takes beside the contract. Every target that is a
 * BaseTarget of any copy of the package has it.
 */
export type Watchable = Target & Pick<BaseTarget, 'watchChanges' | 'refuseAll'>;

/** A target and its settings, as in the configuration. */
export interface TargetSettings {
  readonly type: string;
  readonly config: Record<string, unknown>;
}

export class TargetSlot {
  /** What the doors serve. */
  served: Target;
  #real: Target;
  readonly #file: StateFile;

  private constructor(
    private readonly context: ProviderContext,
    readonly index: number,
    private readonly settings: TargetSettings,
    made: Target,
  ) {
    this.#real = made;
    this.served = made;
    this.#file = new StateFile(made.capabilities.persistent ? this.#fileName() : undefined);
  }

  /** Makes the target, not yet open. */
  static async make(context: ProviderContext, index: number, settings: TargetSettings): Promise<TargetSlot> {
    const { type, config } = settings;
    return new TargetSlot(context, index, settings, await context.createTarget(type, config));
  }

  /**
   * Beside the data, so that both are moved and copied together; in the configuration's folder for
   * data that is in no file.
   */
  #fileName(): string {
    const { baseDirectory, providerName } = this.context;
    const given = this.settings.config.path;
    if (typeof given !== 'string')
      return path.resolve(baseDirectory, `.${providerName}.${this.index}.migration.json`);
    return `${path.resolve(baseDirectory, given)}.migration.json`;
  }

  get state(): MigrationState | undefined {
    return this.#file.state;
  }

  /** The target itself, whoever may use it. */
  get target(): Target {
    return this.#real;
  }

  /** The error of every call, unless it serves. */
  get refusal(): BedrockError | undefined {
    return this.served instanceof RefusingTarget ? this.served.error : undefined;
  }

  get type(): string {
    return this.settings.type;
  }

  get capabilities(): Capabilities {
    return this.#real.capabilities;
  }

  /** Opens it as what it was in its last run. */
  async open(): Promise<void> {
    await this.#file.read();
    const { state } = this;
    if (state === undefined) {
      await this.#real.open();
      if (this.#real.isFilling === true)
        this.served = this.#unfilled('a restore into it was interrupted; restore again');
      return;
    }
    this.served = this.#refusing(state);
    // Its data may be gone, and must not be made again.
    if (state.role === 'moved') return;
    await this.#keepData();
    await this.#real.open();
    if (state.role === 'finishing') this.#refuseAll();
    else if (this.#real.isFilling !== true) await this.#serve();
  }

  /** What came in, or is about to be handed over, must survive a restart. */
  async #keepData(): Promise<void> {
    const { type, config } = this.settings;
    if (config.override_if_exists !== true) return;
    this.#real = await this.context.createTarget(type, { ...config, override_if_exists: false });
  }

  async #serve(): Promise<void> {
    await this.#file.set(undefined);
    this.served = this.#real;
  }

  close(): Promise<void> {
    return this.#real.close();
  }

  #refusing(state: MigrationState): RefusingTarget {
    return new RefusingTarget(this.settings.type, this.#real.capabilities, this.#errorOf(state));
  }

  #errorOf(state: MigrationState): BedrockError {
    const who = `target ${this.index} of provider "${this.context.providerName}"`;
    if (state.role === 'receiving')
      return new BedrockError(
        'MIGRATION_UNFINISHED',
        `${who} is taking in the regions of another one and has not got all of them; the migration must be finished first`,
        { details: { role: state.role } },
      );
    const { address, provider } = state.to;
    const details = { role: state.role, address, provider, target: this.index };
    if (state.role === 'finishing')
      return new BedrockError(
        'MIGRATION_UNFINISHED',
        `${who} was moving to provider "${provider}" at ${address} when the migration broke off, and may live there by now; repeat the migration, which ends it`,
        { details },
      );
    return new BedrockError('PROVIDER_MOVED', `${who} has moved to provider "${provider}" at ${address}`, {
      details,
    });
  }

  /** Has programs that hold the target itself refused as well. Whoever moves its regions goes by `during`. */
  #refuseAll(): void {
    if (isWatchable(this.#real)) this.#real.refuseAll(this.refusal);
  }

  // ---- a restore ----

  /**
   * Has regions brought into it, and serves nobody meanwhile.
   * @throws what its state in a migration is, and what the work throws
   */
  async fill<T>(work: (target: Target) => Promise<T>): Promise<T> {
    const { state } = this;
    if (state !== undefined) throw this.#errorOf(state);
    this.served = this.#unfilled('it is being restored; try again later');
    try {
      return await work(this.#real);
    } finally {
      const isComplete = this.#real.isFilling !== true;
      this.served = isComplete
        ? this.#real
        : this.#unfilled('a restore into it was interrupted; restore again');
    }
  }

  #unfilled(why: string): RefusingTarget {
    const who = `target ${this.index} of provider "${this.context.providerName}"`;
    const error = new BedrockError('NOT_READY', `${who} is not complete: ${why}`);
    return new RefusingTarget(this.settings.type, this.#real.capabilities, error);
  }

  // ---- the side that takes in ----

  /**
   * Takes the pool ID, and serves nobody from then on. Does nothing if it is being filled under
   * that ID already.
   * @throws CONFLICT (it has regions, or is in another migration), NOT_SUPPORTED
   */
  async takeIdentity(poolId: string): Promise<void> {
    const { state } = this;
    const real = this.#real;
    const who = `target ${this.index} of provider "${this.context.providerName}"`;
    if (state !== undefined && (state.role !== 'receiving' || state.poolId !== poolId))
      throw new BedrockError(
        'CONFLICT',
        state.role === 'receiving'
          ? `${who} is the unfinished destination of another migration, that of the pool ${state.poolId}; finish it, or abandon it`
          : this.#errorOf(state).message,
        { details: { role: state.role, poolId: state.poolId } },
      );
    if (!real.capabilities.importable || real.beginFilling === undefined || real.endFilling === undefined)
      throw new BedrockError(
        'NOT_SUPPORTED',
        `${who} is of type ${this.settings.type}, which takes in no regions under the IDs that they have elsewhere`,
      );
    if (state === undefined) {
      // A restore.
      if (this.refusal !== undefined) throw new BedrockError('CONFLICT', this.refusal.message);
      this.served = this.#refusing({ role: 'receiving', poolId });
    }
    // Given up before, or not begun; what came for this pool stays.
    else if (real.isFilling === true && (await poolIdOf(real)) === poolId) return;
    // Safe: the provider begins one migration at a time, and a restore is refused by the state or
    // refuses this.
    try {
      if (state === undefined) await this.#file.set({ role: 'receiving', poolId });
      await real.beginFilling(Buffer.from(poolId, 'hex'));
    } catch (error) {
      if (real.state !== 'open' || real.isFilling === true) throw error;
      await this.#serve();
      if (!(error instanceof BedrockError) || error.code !== 'TARGET_NOT_EMPTY') throw error;
      throw new BedrockError('CONFLICT', `${who} is not empty; a migration needs an empty target`, {
        cause: error,
      });
    }
  }

  /** Ends an `accept` that failed after its first step: the target is complete, and the note is left. */
  async settle(): Promise<void> {
    if (this.state?.role === 'receiving' && this.#real.state === 'open' && this.#real.isFilling !== true)
      await this.#serve();
  }

  /**
   * Serves what it took in, from now on. Durable with the first step; the note that is left by a
   * crash is removed by the next open.
   */
  async accept(): Promise<void> {
    await this.#real.endFilling?.();
    await this.#serve();
  }

  /** Drops what it took in, and is empty again, under a new pool ID. */
  async giveUp(): Promise<void> {
    await this.#real.beginFilling?.(randomBytes(8));
    await this.accept();
  }

  // ---- the side that moves ----

  /**
   * Notes durably that the destination is about to be told to begin. Serves nobody from now on.
   * Changes that are held stay so until the destination has answered.
   */
  async beginEnd(poolId: string, to: Place): Promise<void> {
    await this.#file.set({ role: 'finishing', poolId, to });
    this.served = this.#refusing({ role: 'finishing', poolId, to });
  }

  /** Nobody knows whether the destination has begun: changes that are held are refused as well. */
  refuseHeld(): void {
    this.#refuseAll();
  }

  /** Serves again: the destination has not begun. */
  async takeBack(): Promise<void> {
    await this.#file.set(undefined);
    this.served = this.#real;
    this.#refuseAll();
  }

  /** Its regions may be read by whoever moves them, and by nobody else. */
  allowCopy(): void {
    if (isWatchable(this.#real)) this.#real.refuseAll(undefined);
  }

  /** The destination serves. @param remove whether the data here is deleted; else it is closed and left */
  async retire(poolId: string, to: Place, remove: boolean): Promise<void> {
    const state = { role: 'moved', poolId, to } as const;
    await this.#file.set(state);
    this.served = this.#refusing(state);
    this.#refuseAll();
    await (remove ? this.#real.destroy() : this.#real.close());
  }
}

/** @returns 16 hexadecimal digits */
export async function poolIdOf(target: Target): Promise<string> {
  const { poolId } = await target.listErased({ limit: 1 });
  return Buffer.from(poolId).toString('hex');
}

/** By its methods, not its class: a library may have its own copy of this package. */
export function isWatchable(target: Target): target is Watchable {
  const { watchChanges, refuseAll } = target as Partial<Record<'watchChanges' | 'refuseAll', unknown>>;
  return typeof watchChanges === 'function' && typeof refuseAll === 'function';
}
