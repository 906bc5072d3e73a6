/**
 * Checks the size of a transaction against the target's limit. The step that makes it takes time in
 * proportion, and nothing else runs meanwhile.
 */
import { BedrockError } from '../base/errors.js';
import type { Change, RegionRef } from '../contract/names.js';
import { movedBytes } from './name-arguments.js';

/** Overhead counted for each change: a change without bytes is work as well. */
const CHANGE_BYTES = 64;

/**
 * Counts the bytes of writes, contents and names, plus 64 for each change.
 * @throws TRANSACTION_TOO_LARGE (details: bytes, limit)
 */
export function checkTransactionSize(changes: readonly Change[], limit: number): void {
  let bytes = movedBytes(changes) + changes.length * CHANGE_BYTES;
  for (const change of changes) {
    if ('ref' in change) bytes += nameBytes(change.ref);
    if ('name' in change) bytes += nameBytes(change.name);
    if (change.type === 'rename') bytes += nameBytes(change.to);
  }
  if (bytes <= limit) return;
  throw new BedrockError(
    'TRANSACTION_TOO_LARGE',
    `the changes hold ${bytes} bytes of contents and names and ${CHANGE_BYTES} for each of them, and max_transaction_bytes allows ${limit}; raise it, or put large contents ` +
      'under another name before, and rename them in the transaction',
    { details: { bytes, limit } },
  );
}

function nameBytes(name: RegionRef | null): number {
  return typeof name === 'string' ? Buffer.byteLength(name) : 0;
}
