/**
 * One target of a warabi provider, and its role in a migration.
 *
 * | the target | the doors get |
 * |---|---|
 * | serves | the target |
 * | receives the regions of another target | MIGRATION_UNFINISHED |
 * | has handed over, and does not know whether its destination serves | MIGRATION_UNFINISHED |
 * | has moved | PROVIDER_MOVED, with the new address |
 *
 * The IDs of regions end in the ID of their pool. So an empty target that is to receive the regions
 * of another one first takes that pool ID by `beginFilling`, as for a restore. From then on
 * `isFilling` says, durably, that it is not complete. The state file beside its data is written
 * before and removed after; it only distinguishes a migration from a restore. So after a crash, a
 * target with such a file that is not being filled has either not begun or is complete: it serves.
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
import { type MigrationState, type ProviderAddress, StateFile } from './state-file.js';

/**
 * What copying a serving target needs beyond the contract. Every BaseTarget has it, of any copy of
 * the package.
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

  /** Creates the target, not yet open. */
  static async make(context: ProviderContext, index: number, settings: TargetSettings): Promise<TargetSlot> {
    const { type, config } = settings;
    return new TargetSlot(context, index, settings, await context.createTarget(type, config));
  }

  /**
   * The file is beside the data, so that both are moved and copied together. Without a data file it
   * is in the configuration's folder.
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

  /** The target itself, even if the doors must not use it. */
  get target(): Target {
    return this.#real;
  }

  /** The error of every call; undefined while it serves. */
  get refusal(): BedrockError | undefined {
    return this.served instanceof RefusingTarget ? this.served.error : undefined;
  }

  get type(): string {
    return this.settings.type;
  }

  get capabilities(): Capabilities {
    return this.#real.capabilities;
  }

  /** Opens it in the role that it had in its last run. */
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
    // Its data may be gone, and must not be created again.
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
        `${who} is receiving the regions of another one and does not have all of them; finish the migration first`,
        { details: { role: state.role } },
      );
    const { address, provider } = state.to;
    const details = { role: state.role, address, provider, target: this.index };
    if (state.role === 'finishing')
      return new BedrockError(
        'MIGRATION_UNFINISHED',
        `${who} was moving to provider "${provider}" at ${address} when the migration was interrupted, and may be served there by now; repeat the migration to complete it`,
        { details },
      );
    return new BedrockError('PROVIDER_MOVED', `${who} has moved to provider "${provider}" at ${address}`, {
      details,
    });
  }

  /** Also refuses programs that hold the target itself. The code that moves its regions uses `during`. */
  #refuseAll(): void {
    if (isWatchable(this.#real)) this.#real.refuseAll(this.refusal);
  }

  // ---- a restore ----

  /**
   * Fills it with regions, and serves nobody meanwhile.
   * @throws the error of its state in a migration, what the work throws
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
        `${who} is of type ${this.settings.type}, which cannot import regions under their IDs`,
      );
    if (state === undefined) {
      // A restore is in progress.
      if (this.refusal !== undefined) throw new BedrockError('CONFLICT', this.refusal.message);
      this.served = this.#refusing({ role: 'receiving', poolId });
    }
    // The migration was abandoned before, or not begun. What was received for this pool stays.
    else if (real.isFilling === true && (await poolIdOf(real)) === poolId) return;
    // Safe: the provider begins one migration at a time. A restore is refused because of the state,
    // or refuses this.
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

  /**
   * Completes an `accept` that failed after its first step: the target is complete, and the state
   * file is left.
   */
  async settle(): Promise<void> {
    if (this.state?.role === 'receiving' && this.#real.state === 'open' && this.#real.isFilling !== true)
      await this.#serve();
  }

  /**
   * From now on, serves what it received. This is durable with the first step. If a crash leaves
   * the state file, the next open removes it.
   */
  async accept(): Promise<void> {
    await this.#real.endFilling?.();
    await this.#serve();
  }

  /** Drops what it received. It is then empty, and has a new pool ID. */
  async giveUp(): Promise<void> {
    await this.#real.beginFilling?.(randomBytes(8));
    await this.accept();
  }

  // ---- the side that moves ----

  /**
   * Notes durably that the destination is about to be told to serve. From now on it serves nobody.
   * Changes that are held stay held until the destination has answered.
   */
  async beginEnd(poolId: string, to: ProviderAddress): Promise<void> {
    await this.#file.set({ role: 'finishing', poolId, to });
    this.served = this.#refusing({ role: 'finishing', poolId, to });
  }

  /** Refuses the changes that are held: nobody knows whether the destination serves. */
  refuseHeld(): void {
    this.#refuseAll();
  }

  /** Serves again, since the destination has not begun to serve. */
  async takeBack(): Promise<void> {
    await this.#file.set(undefined);
    this.served = this.#real;
    this.#refuseAll();
  }

  /** Allows only the code that moves its regions to read them. */
  allowCopy(): void {
    if (isWatchable(this.#real)) this.#real.refuseAll(undefined);
  }

  /**
   * Ends its service, when the destination serves.
   * @param remove whether the data here is deleted; otherwise it is closed and left
   */
  async retire(poolId: string, to: ProviderAddress, remove: boolean): Promise<void> {
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

/** Checks methods, not the class: a library may have its own copy of this package. */
export function isWatchable(target: Target): target is Watchable {
  const { watchChanges, refuseAll } = target as Partial<Record<'watchChanges' | 'refuseAll', unknown>>;
  return typeof watchChanges === 'function' && typeof refuseAll === 'function';
}
