/**
 * MULTI, EXEC and DISCARD. There are no transactions, so MULTI is refused; but clients send it and what is to follow in one go, and take
 * the error for that of the whole. So nothing that follows is carried out either, as in a transaction that Redis has given up, until EXEC,
 * DISCARD or RESET ends it.
 */
import { BedrockError } from '../base/errors.js';
import type { Command, Run } from './command.js';
import { answering } from './connection-commands.js';
import { Failure, OK } from './replies.js';

/** @throws NOT_SUPPORTED for a command that stands in a transaction which was refused */
export function checkTransaction({ endsTransaction }: Command): void {
  if (endsTransaction === true) return;
  throw new BedrockError(
    'NOT_SUPPORTED',
    'not carried out, as the MULTI before it was refused; EXEC, DISCARD or RESET ends that',
  );
}

const multi: Run = (_request, client) => {
  client.isInTransaction = true;
  throw new BedrockError(
    'NOT_SUPPORTED',
    'there are no transactions; nothing is carried out until EXEC, DISCARD or RESET',
  );
};

/** EXEC. By the code of its error clients know that nothing was done. */
const exec = answering((_request, client) => {
  if (!client.isInTransaction) return new Failure('ERR', 'EXEC without MULTI');
  client.isInTransaction = false;
  return new Failure(
    'EXECABORT',
    'Transaction discarded because there are none here; nothing of it was done',
  );
});

const discard = answering((_request, client) => {
  if (!client.isInTransaction) return new Failure('ERR', 'DISCARD without MULTI');
  client.isInTransaction = false;
  return OK;
});

export const TRANSACTION_COMMANDS: readonly Command[] = [
  { name: 'multi', arity: [1, 1], run: multi, summary: 'Fails, and so does all that follows up to EXEC.' },
  {
    name: 'exec',
    arity: [1, 1],
    run: exec,
    endsTransaction: true,
    summary: 'Ends what MULTI began: EXECABORT.',
  },
  { name: 'discard', arity: [1, 1], run: discard, endsTransaction: true, summary: 'Ends what MULTI began.' },
];
