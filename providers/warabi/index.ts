/**
 * The provider type `warabi`: a blob store, modelled on Mochi's component of that name. It holds
 * one or several targets and does nothing else: the doors serve the targets. Both generations of
 * Warabi's configuration are valid.
 */
import {
  API_VERSION,
  BedrockError,
  defineProvider,
  explain,
  type Provider,
  type MigrateRequest,
  type OperationContext,
  type ProviderContext,
  type ProviderRoute,
  type RestoreRequest,
  type SnapshotRequest,
  type Target,
} from '../../core/index.js';
import { planRoute } from './migration/plan.js';
import { Receiver } from './migration/receiver.js';
import { Sender } from './migration/sender.js';
import { restore, snapshot, type Store } from './snapshots.js';
import { TargetSlot } from './target-slot.js';
import { checkTransferManager, type TransferManager, transferManagerOf } from './transfer-manager.js';
import type { WarabiConfig, WarabiTargetConfig } from '../../schemas/generated/warabi.js';

/** The configuration of a target after its schema has filled in the defaults. */
type ValidTarget = Required<WarabiTargetConfig>;

function targetsOf(config: WarabiConfig): ValidTarget[] {
  const targets = config.target === undefined ? (config.targets ?? []) : [config.target];
  return targets as ValidTarget[];
}

class WarabiProvider implements Provider {
  readonly routes: readonly ProviderRoute[];
  readonly #receiver: Receiver;
  readonly #sender: Sender;
  readonly name: string;
  readonly #transfers: TransferManager;
  #isStopped = false;

  constructor(
    private readonly slots: readonly TargetSlot[],
    { providerName, logger, remoteOptions }: ProviderContext,
    config: WarabiConfig,
  ) {
    this.name = providerName;
    this.#receiver = new Receiver(providerName, slots);
    this.#transfers = transferManagerOf(config.transfer_manager);
    this.#sender = new Sender(providerName, slots, config, logger, remoteOptions);
    const source = { name: providerName, config };
    this.routes = [...this.#receiver.routes, planRoute(slots, source, remoteOptions)];
  }

  get targets(): readonly Target[] {
    return this.slots.map(({ served }) => served);
  }

  get #store(): Store {
    return { provider: this.name, slots: this.slots, pieces: this.#transfers.ofSnapshot };
  }

  snapshot(request: SnapshotRequest, operation: OperationContext): Promise<unknown> {
    return snapshot(this.#store, request, operation);
  }

  restore(request: RestoreRequest, operation: OperationContext): Promise<unknown> {
    return restore(this.#store, request, operation);
  }

  migrate(request: MigrateRequest, operation: OperationContext): Promise<unknown> {
    return this.#sender.migrate(request, operation);
  }

  /** Opens the targets in order. On failure it closes those that are open. */
  async start(): Promise<void> {
    for (const slot of this.slots) {
      // A start that takes too long is stopped while it waits here for a target. The next target
      // must then stay closed.
      if (this.#wasStopped()) return;
      await slot.open();
      // The stop has already closed this target, unless the target's close does not wait for its
      // open.
      if (this.#wasStopped()) await slot.close();
    }
  }

  /** A method, since the compiler does not see that the value changes while the start waits. */
  #wasStopped(): boolean {
    return this.#isStopped;
  }

  /** Closes them in reverse order. A failure does not keep the others open. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#receiver.stop();
    const failures: unknown[] = [];
    for (const slot of this.slots.toReversed()) {
      try {
        await slot.close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) {
      throw new BedrockError(
        'INTERNAL',
        `${failures.length} of ${this.slots.length} targets did not close cleanly`,
        {
          cause:
            failures.length === 1
              ? failures[0]
              : new AggregateError(failures, failures.map(explain).join('; ')),
        },
      );
    }
  }
}

async function create(config: WarabiConfig, context: ProviderContext): Promise<Provider> {
  const slots: TargetSlot[] = [];
  for (const [index, target] of targetsOf(config).entries())
    slots.push(await TargetSlot.make(context, index, target));
  return new WarabiProvider(slots, context, config);
}

export default defineProvider<WarabiConfig>({
  apiVersion: API_VERSION,
  type: 'warabi',
  schema: new URL('../../schemas/warabi.schema.json', import.meta.url),
  dependencies: (config, backendOf) =>
    targetsOf(config).flatMap(({ type }) => backendOf(type)?.dependencies ?? []),
  validate(config, check) {
    if ((config.target === undefined) === (config.targets === undefined)) {
      check.report([], config, 'either "target" (one) or "targets" (several)');
    }
    checkTransferManager(config.transfer_manager, (path, message) => check.warn(path, message));
    const isOlderForm = config.target === undefined;
    targetsOf(config).forEach((target, index) => {
      check.backend(isOlderForm ? ['targets', index] : ['target'], target);
    });
  },
  create,
});
