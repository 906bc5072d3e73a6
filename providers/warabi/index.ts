/**
 * The provider type `warabi`: a blob store, after Mochi's component of that name. It holds one target or several and does
 * nothing of its own: the front doors serve the targets. Both generations of Warabi's configuration are valid.
 */
import {
  API_VERSION,
  BedrockError,
  defineProvider,
  explain,
  type Provider,
  type ProviderContext,
  type Target,
} from '../../core/index.js';
import type { WarabiConfig, WarabiTargetConfig } from '../../schemas/generated/warabi.js';

/** A target's configuration once its schema has filled in the defaults. */
type ValidTarget = Required<WarabiTargetConfig>;

function targetsOf(config: WarabiConfig): ValidTarget[] {
  const targets = config.target === undefined ? (config.targets ?? []) : [config.target];
  return targets as ValidTarget[];
}

class WarabiProvider implements Provider {
  #isStopped = false;

  constructor(readonly targets: readonly Target[]) {}

  /** Opens the targets in order; a failure closes those that are open. */
  async start(): Promise<void> {
    for (const target of this.targets) {
      // A start that took too long is stopped while it waits here for a target; the next one must stay closed.
      if (this.#wasStopped()) return;
      await target.open();
      // The stop has closed it already, or, of a target that does not wait for its own open, could not yet.
      if (this.#wasStopped()) await target.close();
    }
  }

  /** It changes while the start waits, which the compiler does not see. */
  #wasStopped(): boolean {
    return this.#isStopped;
  }

  /** Closes them in reverse; one that fails does not keep the others open. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const failures: unknown[] = [];
    for (const target of this.targets.toReversed()) {
      try {
        await target.close();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) {
      throw new BedrockError(
        'INTERNAL',
        `${failures.length} of ${this.targets.length} targets did not close cleanly`,
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
  const targets: Target[] = [];
  for (const { type, config: settings } of targetsOf(config)) {
    targets.push(await context.createTarget(type, settings));
  }
  return new WarabiProvider(targets);
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
    const isOlderForm = config.target === undefined;
    targetsOf(config).forEach((target, index) => {
      check.backend(isOlderForm ? ['targets', index] : ['target'], target);
    });
  },
  create,
});
