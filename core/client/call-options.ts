/** How callers bound what they ask of a daemon. */
import { BedrockError } from '../errors.js';

export interface ConnectOptions {
  /** Connections that may be open at once; unless told 16 over HTTP, and 1 over the Redis protocol, which takes many calls at a time. */
  connections?: number;
  /** How long a call may make no progress, milliseconds; 30000 unless told. */
  progressTimeoutMs?: number;
}

/** Bounds of a single call. */
export interface CallOptions {
  /** Ends the call with ABORTED. */
  signal?: AbortSignal;
  /** Most that the whole call may take, milliseconds; then TIMEOUT. Unlimited unless told. */
  timeoutMs?: number;
}

/** What ends a call; undefined if nothing does. */
export function signalOf({ signal, timeoutMs }: CallOptions): AbortSignal | undefined {
  if (timeoutMs === undefined) return signal;
  const timeout = AbortSignal.timeout(timeoutMs);
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
}

/** What a call ends with that its caller has bounded. @param reason why its signal was aborted */
export function endedByCaller(reason: unknown, where: string): BedrockError {
  if ((reason as Error | undefined)?.name === 'TimeoutError')
    return new BedrockError('TIMEOUT', `no answer from ${where} in time`, { cause: reason });
  return new BedrockError('ABORTED', 'the caller ended the call', { cause: reason });
}
