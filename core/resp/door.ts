/** What a client of the Redis door uses of the door: its limits, the memory that all clients share, and the way to the daemon. */
import type { BedrockError } from '../base/errors.js';
import type { ByteBudget } from '../net/byte-budget.js';
import type { DaemonFacts } from './command.js';
import type { Cursors } from './cursors.js';
import type { PlaceFinder } from './places.js';
import type { RequestLimits } from './request-parser.js';
import type { UploadWatch } from './uploads.js';

export interface Door extends PlaceFinder {
  readonly limits: RequestLimits & {
    /** Largest request, long arguments aside, bytes. */
    maxRequestBytes: number;
    /** Replies that may wait for a client before it is read again, bytes. */
    maxBufferedBytes: number;
  };
  readonly daemon: DaemonFacts;
  /** Memory for what clients send: of their larger arguments, and of requests that are not whole yet. */
  readonly arriving: ByteBudget;
  /** Memory for replies that they have not taken. */
  readonly replies: ByteBudget;
  /** Ends uploads of any client that come no further. */
  readonly uploads: UploadWatch;
  /** A client was closed for being slow while there was no memory for others. */
  noteEvicted(what: string): void;
  readonly cursors: Cursors;
  logFailure(error: BedrockError): void;
}
