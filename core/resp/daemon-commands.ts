/**
 * Commands about the whole daemon, for programs that control it: the counterpart of /v1 over HTTP.
 * Documents are JSON, as over HTTP.
 */
import { BedrockError } from '../base/errors.js';
import { describeProviders } from '../runtime/description.js';
import {
  ADMINISTERS,
  alone,
  type Command,
  command,
  type CommandSession,
  KNOWN_ONLY,
  type Run,
} from './command.js';
import { NEED } from '../security/identity.js';
import { OK, type Reply } from './replies.js';
import { requestCommand } from './request-command.js';
import type { Request } from './request.js';
import { MAX_UPLOADS } from './upload-commands.js';

/** @throws NOT_READY */
export function checkReady({ daemon }: CommandSession): void {
  if (!daemon.isReady())
    throw new BedrockError('NOT_READY', 'the daemon is starting or stopping; try again later');
}

/** A command that answers at once, but not while the daemon starts or stops. */
export function whenReady(answerOf: (session: CommandSession, request: Request) => Reply): Run {
  return (request, session) => {
    checkReady(session);
    session.reply(answerOf(session, request));
    return undefined;
  };
}

/**
 * BEDROCK.HELLO: from now on the text of an error is JSON, with its details; alone, since earlier
 * errors are still plain text.
 */
const hello = whenReady((session) => {
  session.tellsDetails = true;
  const { maxBulkBytes, maxArguments, maxRequestBytes } = session.limits;
  return JSON.stringify({
    max_bulk_bytes: maxBulkBytes,
    max_arguments: maxArguments,
    max_request_bytes: maxRequestBytes,
    max_uploads: MAX_UPLOADS,
  });
});

/** BEDROCK.CONFIG */
const config = whenReady(({ daemon }) => JSON.stringify(daemon.config()));

/** BEDROCK.STATUS */
const status: Run = (_request, session) => {
  checkReady(session);
  // Safe: the version of the protocol changes only when nothing is in flight.
  return session.calls.answerWith(
    session.daemon.status().then((answer) => session.encode(JSON.stringify(answer))),
  );
};

/** BEDROCK.PROVIDERS */
const providers = whenReady(({ daemon, rights: { authority } }) =>
  JSON.stringify(
    describeProviders(
      daemon.providers.filter(({ name }) => authority?.allowsSome(NEED.read, name) !== false),
    ),
  ),
);

/** BEDROCK.QUERY [expression]; without one, as BEDROCK.CONFIG */
const query: Run = (request, session) => {
  if (request.count === 1) return config(request, session);
  const { daemon } = session;
  checkReady(session);
  daemon.queries.checkLength(request.lengthOf(1));
  // Safe: the version of the protocol changes only when nothing is in flight.
  return session.calls.answerWith(
    daemon.queries.run(request.text(1)).then((answer) => session.encode(answer)),
  );
};

/** BEDROCK.SHUTDOWN */
const shutdown = whenReady(({ daemon }) => {
  // Called after the reply is sent, so that the client gets it.
  setImmediate(daemon.shutdown);
  return OK;
});

/** These commands tell about all providers. */
const LOOKS = { scope: 'admin' } as const;

export const DAEMON_COMMANDS: readonly Command[] = [
  command(
    'bedrock.hello',
    [1, 1],
    alone(hello),
    'Returns the limits; the text of errors is JSON from then on.',
    KNOWN_ONLY,
  ),
  command('bedrock.config', [1, 1], config, 'Returns the running configuration as JSON.', LOOKS),
  command(
    'bedrock.query',
    [1, 2],
    query,
    'Evaluates JSONata on the running configuration; returns JSON.',
    LOOKS,
  ),
  command('bedrock.status', [1, 1], status, 'Returns what the daemon does at the moment, as JSON.', {
    scope: 'read',
  }),
  command('bedrock.providers', [1, 1], providers, 'Returns the providers as JSON.', KNOWN_ONLY),
  command('bedrock.shutdown', [1, 1], shutdown, 'Stops the daemon.', ADMINISTERS),
  requestCommand,
];
