/**
 * The present state of a provider, for health checks, metrics and listings, which show all
 * providers.
 *
 * A provider and its targets may be objects of a library, whose getters can throw, or return what
 * the contract does not allow. This does not affect other providers: such a provider is shown
 * without targets, with its fault. The fault is counted, and logged once until the provider works
 * again.
 */
import { BedrockError, messageOf } from '../base/errors.js';
import type { Target } from '../contract/target.js';
import type { OperationMeter } from './operation-meter.js';
import type { RunningProvider } from './running-provider.js';

export interface SeenTarget {
  readonly target: Target;
  readonly type: string;
  readonly state: string;
  readonly capabilities: Readonly<Record<string, boolean>>;
  /** Why it no longer accepts changes. */
  readonly readOnly: string | undefined;
  readonly meter: OperationMeter | undefined;
}

export interface SeenProvider {
  readonly provider: RunningProvider;
  /** In the order of their numbers; empty for a provider with a fault. */
  readonly targets: readonly SeenTarget[];
  /** What its code did instead of giving its targets. */
  readonly fault: string | undefined;
}

/** For each provider: the number of looks that met a fault, and whether the last one did. */
const faults = new WeakMap<RunningProvider, { count: number; isThere: boolean }>();

/** How often a look at it met a fault. */
export function faultsOf(provider: RunningProvider): number {
  return faults.get(provider)?.count ?? 0;
}

export function lookAt(provider: RunningProvider): SeenProvider {
  const known = faults.get(provider) ?? { count: 0, isThere: false };
  try {
    const targets = see(provider);
    known.isThere = false;
    return { provider, targets, fault: undefined };
  } catch (error) {
    const fault = `the code of the provider type "${provider.type}" failed when its targets were looked at: ${messageOf(error)}`;
    known.count++;
    if (!known.isThere) provider.logger.error(fault);
    known.isThere = true;
    faults.set(provider, known);
    return { provider, targets: [], fault };
  }
}

function see(provider: RunningProvider): SeenTarget[] {
  const { targets } = provider as { targets: unknown };
  if (!Array.isArray(targets)) throw new BedrockError('INTERNAL', 'targets is not a list');
  return targets.map((target: Target, number): SeenTarget => {
    const { type, state, capabilities, failure } = target;
    for (const [name, value] of Object.entries({ type, state }))
      if (typeof value !== 'string')
        throw new BedrockError('INTERNAL', `the ${name} of target ${number} is not text`);
    return {
      target,
      type,
      state,
      capabilities: flags(capabilities),
      readOnly: failure === undefined ? undefined : messageOf(failure),
      meter: provider.served(number)?.meter,
    };
  });
}

/** The flags of its capabilities, without anything else that the object may have. */
function flags(capabilities: object): Record<string, boolean> {
  return Object.fromEntries(
    Object.entries(capabilities).filter((entry): entry is [string, boolean] => typeof entry[1] === 'boolean'),
  );
}
