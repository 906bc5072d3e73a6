/**
 * The errors of a target whose regions have moved, or have not all arrived. Its provider runs
 * anyway, so that clients learn the reason and can complete the move.
 */
import type { ErrorCode } from '../base/errors.js';

export const INCOMPLETE: ReadonlySet<ErrorCode> = new Set([
  'PROVIDER_MOVED',
  'NOT_READY',
  'MIGRATION_UNFINISHED',
]);
