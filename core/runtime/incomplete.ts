/** What a target says of itself whose regions have moved, or have not all come. Its provider runs, to tell that and to end it. */
import type { ErrorCode } from '../base/errors.js';

export const INCOMPLETE: ReadonlySet<ErrorCode> = new Set([
  'PROVIDER_MOVED',
  'NOT_READY',
  'MIGRATION_UNFINISHED',
]);
