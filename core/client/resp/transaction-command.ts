/**
 * The command that makes a transaction. All of its changes go into one command, or the transaction
 * is refused here.
 */
import { BedrockError } from '../../base/errors.js';
import { type Change, MAX_NAME_BYTES, type TransactionResult } from '../../contract/names.js';
import { movedBytes } from '../../targets/name-arguments.js';
import type { Argument } from './command.js';
import { type CommandParts, Key } from './daemon-command.js';
import { type DaemonLimits, transactionOf } from './region-replies.js';

/**
 * Arguments of up to this many bytes count against the maximum size of a command. The daemon
 * handles larger ones separately.
 */
const COUNTED_BYTES = 2 ** 15;
/** Upper bound of the bytes that an argument has besides its contents. */
const ARGUMENT_BYTES = 32;

/** @param changes must have been checked @throws TRANSACTION_TOO_LARGE */
export function transactionCommand(
  changes: readonly Change[],
  { maxArguments, maxBulkBytes, maxRequestBytes }: DaemonLimits,
): CommandParts<TransactionResult> {
  const args = changes.flatMap(argumentsOf);
  const bytes = movedBytes(changes);
  const counted = args.reduce((sum: number, argument) => sum + countedBytes(argument), 0);
  const isTooLong = args.some((each) => ArrayBuffer.isView(each) && each.length > maxBulkBytes);
  if (args.length >= maxArguments || isTooLong || counted > maxRequestBytes)
    throw new BedrockError(
      'TRANSACTION_TOO_LARGE',
      `a transaction of ${changes.length} changes and ${bytes} bytes does not fit into one command, which has at most ${maxArguments} arguments and ${maxRequestBytes} bytes`,
      { details: { bytes, limit: maxRequestBytes } },
    );
  return {
    ...{ name: 'BLOB.TRANSACT', args, keysTell: true, isRepeatable: false },
    ...{ cost: bytes, result: transactionOf },
  };
}

function argumentsOf(change: Change): (Argument | Key)[] {
  switch (change.type) {
    case 'write':
      return ['WRITE', new Key(change.ref), change.offset, change.bytes];
    case 'put':
      return ['PUT', new Key(change.name), change.contents];
    case 'erase':
      return ['ERASE', new Key(change.ref)];
    case 'rename':
      return [
        change.replace === true ? 'REPLACE' : 'RENAME',
        new Key(change.ref),
        change.to === null ? '' : new Key(change.to),
      ];
    case 'expect':
      return ['EXPECT', new Key(change.name), change.id?.toString() ?? ''];
  }
}

/** Bytes of an argument that count against the maximum size of a command. */
function countedBytes(argument: Argument | Key): number {
  const bytes =
    argument instanceof Key
      ? MAX_NAME_BYTES
      : typeof argument === 'number'
        ? ARGUMENT_BYTES
        : Buffer.byteLength(argument);
  return ARGUMENT_BYTES + (bytes > COUNTED_BYTES ? 0 : bytes);
}
