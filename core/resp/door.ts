/** What a client of the Redis door uses of the door: its limits, the memory that all clients share, and the way to the daemon. */
import type { BedrockError } from '../errors.js';
import type { DaemonFacts } from './command.js';
import type { Cursors } from './cursors.js';
import type { ArgumentMemory } from './long-arguments.js';
import type { PlaceFinder } from './places.js';
import type { RequestLimits } from './request-parser.js';

export interface Door extends ArgumentMemory, PlaceFinder {
  readonly limits: RequestLimits & {
    /** Largest request, long arguments aside, bytes. */
    maxRequestBytes: number;
    /** Replies that may wait for a client before it is read again, bytes. */
    maxBufferedBytes: number;
  };
  readonly daemon: DaemonFacts;
  /** @returns whether there is memory for a reply of so many bytes */
  admitReply(bytes: number): boolean;
  readonly cursors: Cursors;
  logFailure(error: BedrockError): void;
}
