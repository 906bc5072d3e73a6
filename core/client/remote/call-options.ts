/** How callers bound what they ask of a daemon. */
import { setMaxListeners } from 'node:events';
import { BedrockError } from '../../base/errors.js';
import type { CallOptions } from '../../contract/remote-provider.js';

export interface ConnectOptions {
  /** Connections that may be open at once; unless told 16 over HTTP, and 1 over the Redis protocol, which takes many calls at a time. */
  connections?: number;
  /** How long a call may make no progress, milliseconds; 30000 unless told. */
  progressTimeoutMs?: number;
}

/** Longest time that a timer of Node takes, milliseconds. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The time-outs of signals that are made of two: such a signal alone does not keep its time-out from being collected. */
const timeouts = new WeakMap<AbortSignal, AbortSignal>();

/** What ends a call; undefined if nothing does. @throws INVALID_ARGUMENT */
export function signalOf({ signal, timeoutMs }: CallOptions): AbortSignal | undefined {
  // A caller may well bound a thousand calls by one signal; each of them listens to it.
  if (signal !== undefined) setMaxListeners(0, signal);
  if (timeoutMs === undefined) return signal;
  if (!Number.isInteger(timeoutMs) || timeoutMs < 0 || timeoutMs > MAX_TIMEOUT_MS) {
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `timeoutMs is ${timeoutMs}; it must be whole milliseconds from 0 to ${MAX_TIMEOUT_MS}`,
    );
  }
  const timeout = AbortSignal.timeout(timeoutMs);
  setMaxListeners(0, timeout);
  if (signal === undefined) return timeout;
  const either = AbortSignal.any([signal, timeout]);
  setMaxListeners(0, either);
  timeouts.set(either, timeout);
  return either;
}

/** Bounds of a call that is made of several: those of the whole. @throws INVALID_ARGUMENT */
export function ofTheWhole(call: CallOptions): CallOptions {
  const signal = signalOf(call);
  return signal === undefined ? {} : { signal };
}

/**
 * What a promise gives, unless the caller's bounds end the waiting first; what it stands for goes on.
 * @throws what the promise throws, TIMEOUT, ABORTED
 */
export async function within<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  where: string,
): Promise<T> {
  if (signal === undefined) return promise;
  let end!: () => void;
  const ended = new Promise<never>((_resolve, reject) => {
    end = () => reject(endedByCaller(signal.reason, where));
  });
  if (signal.aborted) end();
  else signal.addEventListener('abort', end);
  try {
    return await Promise.race([promise, ended]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/** What a call ends with that its caller has bounded. @param reason why its signal was aborted */
export function endedByCaller(reason: unknown, where: string): BedrockError {
  if ((reason as Error | undefined)?.name === 'TimeoutError')
    return new BedrockError('TIMEOUT', `no answer from ${where} in time`, { cause: reason });
  return new BedrockError('ABORTED', 'the caller ended the call', { cause: reason });
}
