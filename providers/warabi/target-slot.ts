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
 * The IDs of regions end in the ID of their pool. So an empty target that is to take in the regions of another one is made anew with the
 * pool ID of that one. This goes by the contract alone: note durably that it is receiving, destroy it, make it with the pool ID. A
 * second pool beside it would need its space twice. After a crash at any point the note says what to do: a target with another pool ID
 * is not yet destroyed, and without regions; none at all is made.
 */
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

/** What copying a target while it serves takes beside the contract. Every target that is a BaseTarget of any copy of the package has it. */
export type Watchable = Target & Pick<BaseTarget, 'watchChanges' | 'refuseAll'>;

/** A target and its settings, as in the configuration. */
export interface TargetSettings {
  readonly type: string;
  readonly config: Record<string, unknown>;
}

/** How long changes in flight may take to end, before an empty target is replaced. */
const QUIET_MS = 5000;

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

  /** Beside the data, so that both are moved and copied together; in the configuration's folder for data that is in no file. */
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
        this.served = this.#unfilled('a restore into it was broken off; restore again');
      return;
    }
    this.served = this.#refusing(state);
    // Its data may be gone, and must not be made anew.
    if (state.role === 'moved') return undefined;
    if (state.role === 'receiving') return this.#makeReceiving(state.poolId);
    await this.#real.open();
    this.#refuseAll();
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
        : this.#unfilled('a restore into it was broken off; restore again');
    }
  }

  #unfilled(why: string): RefusingTarget {
    const who = `target ${this.index} of provider "${this.context.providerName}"`;
    const error = new BedrockError('NOT_READY', `${who} is not complete: ${why}`);
    return new RefusingTarget(this.settings.type, this.#real.capabilities, error);
  }

  // ---- the side that takes in ----

  /**
   * Empties itself into a target of this pool ID, which serves nobody yet. Does nothing if it is one already.
   * @throws CONFLICT (it has regions, or is in another migration), NOT_SUPPORTED
   */
  async takeIdentity(poolId: string): Promise<void> {
    const { state } = this;
    const who = `target ${this.index} of provider "${this.context.providerName}"`;
    if (state !== undefined && (state.role !== 'receiving' || state.poolId !== poolId))
      throw new BedrockError(
        'CONFLICT',
        state.role === 'receiving'
          ? `${who} is the unfinished destination of another migration, that of the pool ${state.poolId}; finish it, or abandon it`
          : this.#errorOf(state).message,
        { details: { role: state.role, poolId: state.poolId } },
      );
    if (state === undefined) {
      await this.#empty(who);
      // Safe: nobody can change the target any more, and the provider begins one migration at a time.
      try {
        await this.#file.set({ role: 'receiving', poolId });
      } catch (error) {
        this.served = this.#real;
        this.#refuseAll();
        throw error;
      }
      await this.#makeReceiving(poolId);
    } else if (this.#real.state !== 'open') await this.#makeReceiving(poolId);
  }

  /** Ends the use of a target without regions. */
  async #empty(who: string): Promise<void> {
    const real = this.#real;
    if (!real.capabilities.importable || !isWatchable(real))
      throw new BedrockError(
        'NOT_SUPPORTED',
        `${who} is of type ${this.settings.type}, which takes in no regions under the IDs that they have elsewhere`,
      );
    const watch = real.watchChanges(NOBODY);
    try {
      await watch.hold(QUIET_MS);
      const { regions } = await real.list({ limit: 1 });
      if (regions.length > 0)
        throw new BedrockError('CONFLICT', `${who} is not empty; a migration needs an empty target`);
      this.served = this.#refusing({ role: 'receiving', poolId: '' });
      // Whoever waits is refused before the watch ends.
      this.#refuseAll();
    } finally {
      watch.end();
    }
  }

  async #makeReceiving(poolId: string): Promise<void> {
    const real = this.#real;
    if (real.state === 'open') await real.destroy();
    const bytes = Buffer.from(poolId, 'hex');
    const make = async (): Promise<Target> => {
      const { type, config } = this.settings;
      // What was received must survive a restart, whatever becomes of the target when it starts to serve.
      const kept = 'override_if_exists' in config ? { ...config, override_if_exists: false } : config;
      const made = await this.context.createTarget(type, kept, { poolId: bytes });
      await made.open();
      return made;
    };
    this.#real = await make();
    if ((await poolIdOf(this.#real)) === poolId) return;
    // The daemon ended between the note and the destruction.
    const { regions } = await this.#real.list({ limit: 1 });
    if (regions.length > 0)
      throw new BedrockError(
        'START_FAILED',
        `${this.#file.file ?? ''} says that the target beside it takes in the pool ${poolId}, but another pool with regions is there; move one of them away`,
      );
    await this.#real.destroy();
    this.#real = await make();
  }

  /** Serves what it took in, from now on. */
  async accept(): Promise<void> {
    await this.#file.set(undefined);
    this.served = this.#real;
  }

  /** Drops what it took in, and is empty again, under a new pool ID. */
  async giveUp(): Promise<void> {
    await this.#real.destroy();
    const { type, config } = this.settings;
    const made = await this.context.createTarget(type, config);
    await made.open();
    this.#real = made;
    await this.accept();
  }

  // ---- the side that moves ----

  /**
   * Notes durably that the destination is about to be told to begin. Serves nobody from now on. Changes that are held stay so until the
   * destination has answered.
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

const NOBODY = { wrote: () => undefined, changed: () => undefined };
