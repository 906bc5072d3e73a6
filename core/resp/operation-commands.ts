/**
 * Commands that begin, list and cancel long-running work of the providers. They are the counterpart
 * of core/http/operation-routes.ts.
 *
 * A command that begins an operation gets its reply at once, with the operation: a reply that comes
 * hours later would hold up all later replies of the connection. The operation goes on if the client
 * goes away; BEDROCK.OPERATIONS shows its progress.
 */
import { BedrockError } from '../base/errors.js';
import { beginOperation, type GivenRequests, wholeRequest } from '../runtime/administration.js';
import { NEED } from '../security/identity.js';
import { type Command, command, type Run } from './command.js';
import { whenReady } from './daemon-commands.js';
import { checkedArgument } from './json-arguments.js';
import { OK } from './replies.js';
import { providerOf } from './request-command.js';

/** @param schema of the JSON, the body of the same request over HTTP */
function beginning(type: keyof GivenRequests, schema: string): Run {
  return whenReady(({ daemon, rights: { authority } }, request) => {
    const provider = providerOf(request.text(1), daemon.providers);
    authority?.requireProvider(NEED.admin, provider.name);
    const given = checkedArgument(request, 2, schema) as unknown as GivenRequests[typeof type];
    const whole = wholeRequest(type, given, daemon.directory);
    return JSON.stringify(beginOperation(daemon.operations, provider, type, whole).status);
  });
}

/** BEDROCK.OPERATIONS [id] */
const operations = whenReady(({ daemon: { operations }, rights: { authority } }, request) => {
  if (request.count === 1) {
    const all = operations.list();
    return JSON.stringify({
      operations: all.filter(({ provider }) => authority?.allows(NEED.admin, provider) !== false),
    });
  }
  const { status } = operations.get(request.text(1));
  authority?.requireProvider(NEED.admin, status.provider);
  return JSON.stringify(status);
});

/** BEDROCK.CANCEL id */
const cancel = whenReady(({ daemon, rights: { authority } }, request) => {
  const operation = daemon.operations.get(request.text(1));
  authority?.requireProvider(NEED.admin, operation.status.provider);
  operation.cancel(new BedrockError('ABORTED', 'it was cancelled'));
  return OK;
});

/** Each command checks the rights for its own provider. */
const OF_PROVIDERS = { isWrite: true, scope: 'admin', of: 'targets' } as const;

export const OPERATION_COMMANDS: readonly Command[] = [
  command(
    'bedrock.snapshot',
    [3, 3],
    beginning('snapshot', 'SnapshotBody'),
    'Begins to write the state of a provider to a folder; returns the operation as JSON.',
    OF_PROVIDERS,
  ),
  command(
    'bedrock.restore',
    [3, 3],
    beginning('restore', 'RestoreBody'),
    'Begins to read the state of a provider from a folder; returns the operation as JSON.',
    OF_PROVIDERS,
  ),
  command(
    'bedrock.migrate',
    [3, 3],
    beginning('migrate', 'MigrateBody'),
    'Begins to send the state of a provider to another daemon; returns the operation as JSON.',
    OF_PROVIDERS,
  ),
  command(
    'bedrock.operations',
    [1, 2],
    operations,
    'Returns the operations that run and the last that ended, or one of them, as JSON.',
    { ...OF_PROVIDERS, isWrite: false },
  ),
  command(
    'bedrock.cancel',
    [2, 2],
    cancel,
    'Cancels an operation; does nothing if it has ended.',
    OF_PROVIDERS,
  ),
];
