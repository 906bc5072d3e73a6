/**
 * Requests that a provider of any type may support: save its data, restore it, send it elsewhere,
 * use another dependency. A provider handles one at a time. The first three are operations, which
 * are refused while another one runs. A provider without the method answers NOT_SUPPORTED.
 */
import path from 'node:path';
import { BedrockError } from '../base/errors.js';
import type { OperationContext } from '../contract/operation.js';
import type { MigrateRequest, RestoreRequest, SnapshotRequest } from '../contract/provider-state.js';
import type { Provider } from '../contract/provider.js';
import type { Operation, Operations } from './operations.js';
import type { RunningProvider } from './running-provider.js';

/** The requests of providers that are operations, with what they take. */
export interface OperationRequests {
  snapshot: SnapshotRequest;
  restore: RestoreRequest;
  migrate: MigrateRequest;
}

/** The same, as callers give them: what is left out gets its default. */
export interface GivenRequests {
  snapshot: Pick<SnapshotRequest, 'path'> & Partial<SnapshotRequest>;
  restore: Pick<RestoreRequest, 'path'> & Partial<RestoreRequest>;
  migrate: Pick<MigrateRequest, 'address' | 'provider'> & Partial<MigrateRequest>;
}

const DEFAULTS = {
  snapshot: { options: {}, removeSource: false },
  restore: { options: {} },
  migrate: { options: {}, removeSource: false },
} as const;

/** @param directory that relative paths are relative to */
export function wholeRequest<Type extends keyof OperationRequests>(
  type: Type,
  given: GivenRequests[Type],
  directory: string,
): OperationRequests[Type] {
  const folder = 'path' in given ? { path: path.resolve(directory, given.path) } : {};
  return { ...DEFAULTS[type], ...given, ...folder } as unknown as OperationRequests[Type];
}

/**
 * Begins an operation of a provider.
 * @throws NOT_READY, NOT_SUPPORTED, CONFLICT
 */
export function beginOperation<Type extends keyof OperationRequests>(
  operations: Operations,
  provider: RunningProvider,
  type: Type,
  request: OperationRequests[Type],
): Operation {
  checkMethod(provider, type);
  return operations.begin(type, provider, (context) =>
    administer(provider, type, (instance) => {
      // The operation may have been cancelled while it waited for its turn.
      context.signal.throwIfAborted();
      return call(instance, type, request, context);
    }),
  );
}

/** Calls the method. An error that a library throws becomes a rejection. */
async function call<Type extends keyof OperationRequests>(
  instance: Provider,
  type: Type,
  request: OperationRequests[Type],
  context: OperationContext,
): Promise<unknown> {
  const method = instance[type] as
    | ((request: OperationRequests[Type], context: OperationContext) => Promise<unknown>)
    | undefined;
  return method?.call(instance, request, context);
}

/** @throws NOT_READY, NOT_SUPPORTED, any error of the provider */
export function administer<T>(
  provider: RunningProvider,
  method: keyof OperationRequests | 'changeDependency',
  work: (instance: Provider) => Promise<T>,
): Promise<T> {
  // Safe: checked in its turn, as the provider may have stopped meanwhile.
  return provider.administration.run(async () => work(checkMethod(provider, method)));
}

/** @throws NOT_READY, NOT_SUPPORTED */
function checkMethod(
  { name, type, instance, state }: RunningProvider,
  method: keyof OperationRequests | 'changeDependency',
): Provider {
  const who = `provider "${name}"`;
  if (instance === undefined || state !== 'running')
    throw new BedrockError('NOT_READY', `${who} is ${state}`);
  if (typeof instance[method] !== 'function')
    throw new BedrockError('NOT_SUPPORTED', `${who} is of type ${type}, which has no ${method}`);
  return instance;
}
