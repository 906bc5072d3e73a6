/**
 * What a client of the Redis door uses of the door: limits, the memory that all clients share, and
 * access to the daemon.
 */
import type { BedrockError } from '../base/errors.js';
import type { ByteBudget } from '../net/byte-budget.js';
import type { Access } from '../security/access.js';
import type { AuditLog } from '../security/audit.js';
import type { Limits } from '../security/limits.js';
import type { DaemonFacts } from './command.js';
import type { Cursors } from './cursors.js';
import type { TargetFinder } from './named-targets.js';
import type { RequestLimits } from '../redis-wire/request-parser.js';
import type { UploadWatch } from './uploads.js';

export interface Door extends TargetFinder {
  readonly limits: RequestLimits & {
    /** Largest request, without long arguments, bytes. */
    maxRequestBytes: number;
    /** Bytes of replies that may wait for a client before its input is no longer read. */
    maxBufferedBytes: number;
  };
  readonly daemon: DaemonFacts;
  /** Memory for what clients send: larger arguments, and incomplete requests. */
  readonly arriving: ByteBudget;
  /** Memory for replies that clients have not taken. */
  readonly replies: ByteBudget;
  /** Ends uploads of any client that make no progress. */
  readonly uploads: UploadWatch;
  /** Notes that a slow client was closed because there was no memory for others. */
  noteEvicted(what: string): void;
  readonly cursors: Cursors;
  /** Who may do what; undefined: everybody may do everything. */
  readonly access: Access | undefined;
  /** Where administrative commands and refusals are recorded. */
  readonly audit: AuditLog | undefined;
  /** Limits of connections, requests and bytes of one client. */
  readonly rates: Limits | undefined;
  logFailure(error: BedrockError): void;
}
