/**
 * Begins a snapshot, restore or migration for a program, and waits for its end. core/runtime runs
 * the operation.
 */
import { BedrockError } from '../base/errors.js';
import type { OperationStatus } from '../contract/operation.js';
import { beginOperation, type GivenRequests, wholeRequest } from '../runtime/administration.js';
import type { ProviderManager } from '../runtime/provider-manager.js';

/**
 * @param signal aborting it cancels the operation, unless it is already done
 * @returns the operation, when it is done
 * @throws ABORTED (cancelled), as `beginOperation`, any error of the provider
 */
export async function runOperation<Type extends keyof GivenRequests>(
  manager: ProviderManager,
  type: Type,
  provider: string | number,
  given: GivenRequests[Type],
  signal: AbortSignal | undefined,
): Promise<OperationStatus> {
  const cancelled = (): BedrockError =>
    new BedrockError('ABORTED', 'the caller ended the operation', { cause: signal?.reason });
  if (signal?.aborted === true) throw cancelled();
  const request = wholeRequest(type, given, manager.directory);
  const operation = beginOperation(manager.operations, manager.get(provider), type, request);
  const cancel = (): void => operation.cancel(cancelled());
  signal?.addEventListener('abort', cancel);
  try {
    await operation.waitAndReport();
    return operation.status;
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}
