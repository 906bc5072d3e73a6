/** Time-outs and signals with which callers limit their calls to a daemon. */
import { setMaxListeners } from 'node:events';
import { BedrockError, invalid } from '../../base/errors.js';
import type { CallOptions, TlsOptions } from '../../contract/remote-provider.js';
import { onceInputIsRead } from '../../net/standstill.js';

/** Number of connections to a daemon, the time-out for lack of progress, and certificates. */
export interface ConnectOptions {
  /**
   * Maximum number of open connections; default: 16 over HTTP, and 1 over the Redis protocol, which
   * takes many calls at a time.
   */
  connections?: number;
  /** How long a call may make no progress, in milliseconds; default: 30000. */
  progressTimeoutMs?: number;
  /** Certificates for `https://` and `resps://`. */
  tls?: TlsOptions;
  /**
   * Token of the daemon, `bedrock_ID_SECRET`, if it asks for one; or a function that gives it,
   * asked before each request, for one that is renewed.
   */
  token?: string | (() => string);
}

/** Longest time-out of a Node.js timer, in milliseconds. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Time-outs of combined signals: the combined signal alone does not keep its time-out from being
 * garbage collected.
 */
const timeouts = new WeakMap<AbortSignal, AbortSignal>();

/** The signal that ends a call; undefined if nothing does. @throws INVALID_ARGUMENT */
export function signalOf({ signal, timeoutMs }: CallOptions): AbortSignal | undefined {
  // A caller may use one signal for a thousand calls, and each of them adds a listener.
  if (signal !== undefined) setMaxListeners(0, signal);
  if (timeoutMs === undefined) return signal;
  if (!Number.isInteger(timeoutMs) || timeoutMs < 0 || timeoutMs > MAX_TIMEOUT_MS) {
    throw invalid(`timeoutMs is ${timeoutMs}; it must be whole milliseconds from 0 to ${MAX_TIMEOUT_MS}`);
  }
  const timeout = AbortSignal.timeout(timeoutMs);
  setMaxListeners(0, timeout);
  if (signal === undefined) return timeout;
  const either = AbortSignal.any([signal, timeout]);
  setMaxListeners(0, either);
  timeouts.set(either, timeout);
  return either;
}

/**
 * Options for the parts of a call, so that the limits apply to the call as a whole.
 * @throws INVALID_ARGUMENT
 */
export function ofTheWhole(call: CallOptions): CallOptions {
  const signal = signalOf(call);
  return signal === undefined ? {} : { signal };
}

/**
 * Waits for a promise until the caller's time-out or signal ends the wait. The work behind the
 * promise continues.
 * @throws what the promise throws, TIMEOUT, ABORTED
 */
export async function within<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  where: string,
): Promise<T> {
  if (signal === undefined) return promise;
  let forget!: () => void;
  const ended = new Promise<never>((_resolve, reject) => (forget = whenEnded(signal, where, reject)));
  try {
    return await Promise.race([promise, ended]);
  } finally {
    forget();
  }
}

/**
 * Calls `tell` with TIMEOUT or ABORTED when the caller's time-out or signal ends the wait. Input
 * that arrived before a time-out is handled first, even if the process stood still meanwhile.
 * @returns a function that removes the listener
 */
export function whenEnded(
  signal: AbortSignal,
  where: string,
  tell: (error: BedrockError) => void,
): () => void {
  let isListening = true;
  const end = (): void => {
    if (isListening) tell(endedByCaller(signal.reason, where));
  };
  const ended = (): void => {
    if ((signal.reason as Error | undefined)?.name === 'TimeoutError') onceInputIsRead(end);
    else end();
  };
  if (signal.aborted) end();
  else signal.addEventListener('abort', ended);
  return () => {
    isListening = false;
    signal.removeEventListener('abort', ended);
  };
}

/**
 * The error of a call that its caller's time-out or signal has ended.
 * @param reason why the signal was aborted
 */
export function endedByCaller(reason: unknown, where: string): BedrockError {
  if ((reason as Error | undefined)?.name === 'TimeoutError')
    return new BedrockError('TIMEOUT', `no answer from ${where} in time`, { cause: reason });
  return new BedrockError('ABORTED', 'the caller ended the call', { cause: reason });
}
