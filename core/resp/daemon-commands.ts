/** Commands about the daemon as a whole, for programs that drive it: what HTTP has under /v1. Documents are JSON, as they are there. */
import { BedrockError } from '../base/errors.js';
import { describeProviders } from '../runtime/description.js';
import { type Command, type CommandClient, type Run, WAIT } from './command.js';
import { OK, type Reply } from './replies.js';
import { MAX_UPLOADS } from './upload-commands.js';

/** A command that answers at once, and not while the daemon starts or stops. */
function whenReady(answerOf: (client: CommandClient) => Reply): Run {
  return (_request, client) => {
    if (!client.daemon.isReady())
      throw new BedrockError('NOT_READY', 'the daemon is starting or stopping; try again later');
    client.reply(answerOf(client));
    return undefined;
  };
}

/** BEDROCK.HELLO: from now on the text of an error is JSON, with its details. */
const greet = whenReady((client) => {
  client.tellsDetails = true;
  const { maxBulkBytes, maxArguments, maxRequestBytes } = client.limits;
  return JSON.stringify({
    max_bulk_bytes: maxBulkBytes,
    max_arguments: maxArguments,
    max_request_bytes: maxRequestBytes,
    max_uploads: MAX_UPLOADS,
  });
});

const hello: Run = (request, client) => {
  // The errors before it are still text.
  if (client.isBusy) return WAIT;
  return greet(request, client);
};

/** BEDROCK.CONFIG */
const config = whenReady(({ daemon }) => JSON.stringify(daemon.config()));

/** BEDROCK.PROVIDERS */
const providers = whenReady(({ daemon }) => JSON.stringify(describeProviders(daemon.providers)));

/** BEDROCK.SHUTDOWN */
const shutdown = whenReady(({ daemon }) => {
  // After the answer is on its way, so that the one who asked hears it.
  setImmediate(daemon.shutdown);
  return OK;
});

export const DAEMON_COMMANDS: readonly Command[] = [
  {
    name: 'bedrock.hello',
    arity: [1, 1],
    run: hello,
    summary: 'Gives the limits; the text of errors is JSON from then on.',
  },
  { name: 'bedrock.config', arity: [1, 1], run: config, summary: 'Gives the running configuration, JSON.' },
  { name: 'bedrock.providers', arity: [1, 1], run: providers, summary: 'Gives the providers, JSON.' },
  { name: 'bedrock.shutdown', arity: [1, 1], run: shutdown, isWrite: true, summary: 'Stops the daemon.' },
];
