/**
 * The states of a connection, and of the requests in its input. `Connection` has one of each, and they
 * alone decide what it does next.
 */

/** The state of the connection. It only moves forward. */
export const Life = {
  /** Requests are read and carried out. */
  open: 0,
  /** The client has ended its side. Complete requests are carried out. */
  inputOver: 1,
  /**
   * No more requests begin, and input is dropped. The connection ends when all requests that have begun
   * are answered.
   */
  ending: 2,
  /** The socket is gone. */
  closed: 3,
} as const;
export type Life = (typeof Life)[keyof typeof Life];

/**
 * The state of the requests in the input.
 *
 * - `idle`: all complete requests have begun.
 * - `working`: requests are being begun, directly from the input.
 * - `stalled`: the next request is not read until there is room, or until it is this connection's turn.
 * - `held`: the next request was read, and waits for one before it.
 */
export type Work = 'idle' | 'working' | 'stalled' | 'held';
