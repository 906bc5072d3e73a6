/**
 * Uncaught exceptions and rejected promises: a library's timer that throws, an event `error`
 * without a listener. They end the command with one line and status 1, cleanly if the command can.
 *
 * Both are treated alike. An exception leaves its code in an unknown state, and a rejection is the
 * exception of an async function. A daemon that continued to serve could acknowledge writes that
 * are not stored.
 */
import { BedrockError, explain } from '../base/errors.js';
import { propertyOf } from '../base/plain.js';
import { locationInStack } from '../base/stack-location.js';
import { reportFailure } from './failure.js';
import { endProcess } from './process-end.js';

type Handler = (failure: BedrockError) => void;

let handler: Handler = (failure) => endProcess(reportFailure(failure));

/** From now on all uncaught errors are handled here. */
export function guardUncaught(): void {
  process.on('uncaughtException', (thrown) => handler(failureOf('uncaught exception', thrown)));
  process.on('unhandledRejection', (reason) => handler(failureOf('unhandled rejection', reason)));
}

/** Lets a command end in its own way instead of at once. @returns a function that undoes this */
export function onUncaught(own: Handler): () => void {
  const before = handler;
  handler = own;
  return () => (handler = before);
}

function failureOf(what: string, thrown: unknown): BedrockError {
  const location = locationInStack(propertyOf(thrown, 'stack'));
  const where = location === undefined ? '' : ` at ${location}`;
  return new BedrockError('INTERNAL', `${what}${where}: ${explain(thrown)}`, { cause: thrown });
}
