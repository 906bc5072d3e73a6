/**
 * What can be asked of any provider, whatever its type: to write its state down, to read it back, to send it elsewhere, to use
 * another dependency. Of one provider one at a time. A provider that lacks the method answers NOT_SUPPORTED.
 */
import { BedrockError } from '../base/errors.js';
import type { MigrateRequest, RestoreRequest, SnapshotRequest } from '../contract/provider-state.js';
import type { Provider } from '../contract/provider.js';
import type { RunningProvider } from './running-provider.js';

export function snapshot(provider: RunningProvider, request: SnapshotRequest): Promise<void> {
  return administer(provider, 'snapshot', (instance) => instance.snapshot?.(request));
}

export function restore(provider: RunningProvider, request: RestoreRequest): Promise<void> {
  return administer(provider, 'restore', (instance) => instance.restore?.(request));
}

export function migrate(provider: RunningProvider, request: MigrateRequest): Promise<void> {
  return administer(provider, 'migrate', (instance) => instance.migrate?.(request));
}

/** @throws NOT_READY, NOT_SUPPORTED, whatever the provider throws */
export async function administer(
  provider: RunningProvider,
  method: 'snapshot' | 'restore' | 'migrate' | 'changeDependency',
  call: (instance: Provider) => Promise<void> | undefined,
): Promise<void> {
  const who = `provider "${provider.name}"`;
  await provider.administration.run(async () => {
    const { instance, state, type } = provider;
    if (instance === undefined || state !== 'running')
      throw new BedrockError('NOT_READY', `${who} is ${state}`);
    if (typeof instance[method] !== 'function')
      throw new BedrockError('NOT_SUPPORTED', `${who} is of type ${type}, which has no ${method}`);
    await call(instance);
  });
}
