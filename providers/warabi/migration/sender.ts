/**
 * The source's side of migrations: checks a request, connects to the destination, and begins,
 * answers again or abandons the migration (migration.ts).
 */
import {
  BedrockError,
  type Logger,
  type MigrateRequest,
  type OperationContext,
  type RemoteOptions,
} from '../../../core/index.js';
import type { WarabiConfig } from '../../../schemas/generated/warabi.js';
import { isSameProvider, type ProviderAddress } from '../state-file.js';
import { isWatchable, poolIdOf, type TargetSlot } from '../target-slot.js';
import { type TransferManager, transferManagerOf } from '../transfer-manager.js';
import { Destination } from './destination.js';
import { type MigrateResult, Migration } from './migration.js';
import { optionsOf } from './options.js';
import { successorOf } from './successor.js';

export class Sender {
  private readonly transfers: TransferManager;

  constructor(
    readonly name: string,
    private readonly slots: readonly TargetSlot[],
    readonly config: WarabiConfig,
    private readonly logger: Logger,
    private readonly remoteOptions: (address: string) => Promise<RemoteOptions>,
  ) {
    this.transfers = transferManagerOf(config.transfer_manager);
  }

  async migrate(
    request: MigrateRequest,
    progress: OperationContext,
  ): Promise<MigrateResult | { abandoned: true }> {
    const options = optionsOf(request, this.transfers.transferBytes);
    this.#check();
    const { address, provider } = request;
    const successor = options.abandon ? undefined : successorOf(this, provider, options);
    const destination = await Destination.connect(
      address,
      provider,
      { ...(await this.remoteOptions(address)), connections: this.transfers.inFlight },
      progress.signal,
      successor,
    );
    try {
      const moved = this.slots.flatMap(({ state }) => (state?.role === 'moved' ? [state.to] : []));
      if (moved.length === this.slots.length) return this.#alreadyThere(moved, destination.providerAddress);
      if (options.abandon) return await this.#abandon(destination);
      return await new Migration(
        this.name,
        this.slots,
        this.transfers,
        this.logger,
        destination,
        options,
        progress,
      ).run();
    } finally {
      await destination.close();
    }
  }

  /** @throws NOT_SUPPORTED, MIGRATION_UNFINISHED */
  #check(): void {
    for (const slot of this.slots) {
      const { refusal } = slot;
      if (slot.state?.role === 'receiving' && refusal !== undefined) throw refusal;
      if (!slot.capabilities.importable || !isWatchable(slot.target))
        throw new BedrockError(
          'NOT_SUPPORTED',
          `target ${slot.index} of provider "${this.name}" is of type ${slot.type}, whose regions cannot keep their IDs elsewhere`,
        );
    }
  }

  /**
   * Answers a migration that is repeated after its answer was lost.
   * @throws PROVIDER_MOVED if it went elsewhere
   */
  #alreadyThere(moved: readonly ProviderAddress[], to: ProviderAddress): MigrateResult {
    const elsewhere = this.slots.find((_slot, index) => !isSameProvider(moved[index] ?? to, to));
    if (elsewhere?.refusal !== undefined) throw elsewhere.refusal;
    return { ...to, regions: 0, sentBytes: 0, passes: 0, holdMs: 0, durationMs: 0 };
  }

  /** Gives up a migration that the destination has not finished. */
  async #abandon(destination: Destination): Promise<{ abandoned: true }> {
    const pools: string[] = [];
    for (const slot of this.slots) {
      const { state } = slot;
      const to = destination.providerAddress;
      if (state?.role === 'finishing' && !isSameProvider(state.to, to))
        throw new BedrockError(
          'CONFLICT',
          `the interrupted migration was to provider "${state.to.provider}" at ${state.to.address}; abandon it there`,
          { details: { ...state.to } },
        );
      pools.push(state?.poolId ?? (await poolIdOf(slot.target)));
    }
    await destination.abandon(pools);
    for (const slot of this.slots) if (slot.state?.role === 'finishing') await slot.takeBack();
    return { abandoned: true };
  }
}
