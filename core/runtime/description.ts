/** The description of a provider, for both doors. */
import { lookAt } from './provider-look.js';
import type { RunningProvider } from './running-provider.js';

export function describeProviders(providers: readonly RunningProvider[]): object {
  return { providers: providers.map(describeProvider) };
}

export function describeProvider(one: RunningProvider): object {
  const { provider, targets, fault } = lookAt(one);
  return {
    name: provider.name,
    type: provider.type,
    provider_id: provider.providerId,
    tags: provider.tags,
    state: provider.state,
    targets: targets.map(({ type, state, capabilities, readOnly }) => ({
      type,
      state,
      capabilities,
      ...(readOnly !== undefined && { readOnly }),
    })),
    ...(fault !== undefined && { error: fault }),
  };
}
