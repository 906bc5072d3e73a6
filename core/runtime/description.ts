/** Providers as both front doors describe them. */
import type { RunningProvider } from './running-provider.js';

export function describeProviders(providers: readonly RunningProvider[]): object {
  return {
    providers: providers.map(({ name, type, providerId, tags, state, targets }) => ({
      name,
      type,
      provider_id: providerId,
      tags,
      state,
      targets: targets.map((target) => ({
        type: target.type,
        state: target.state,
        capabilities: target.capabilities,
        ...(target.failure !== undefined && { readOnly: target.failure.message }),
      })),
    })),
  };
}
