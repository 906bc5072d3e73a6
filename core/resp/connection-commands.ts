/** Commands about the connection and the daemon: what Redis clients say when they connect, and what people ask for by hand. */
import { WAIT, type Command, type CommandClient, type Run } from './command.js';
import { MANY, invalid } from './region-arguments.js';
import { Failure, OK, ReplyMap, Simple, type Reply } from './replies.js';
import type { Request } from './request.js';

/** Longest name of a connection, bytes. */
const MAX_NAME_BYTES = 256;

const PONG = new Simple('PONG');
const RESET = new Simple('RESET');

/** As Redis says it where nothing was configured. */
const NO_PASSWORD = new Failure(
  'ERR',
  'AUTH called without any password configured: this daemon has none, and serves whoever reaches it',
);

/** A command that answers at once. */
export function answering(answerOf: (request: Request, client: CommandClient) => Reply): Run {
  return (request, client) => {
    client.reply(answerOf(request, client));
    return undefined;
  };
}

/** Answers with the bytes of an argument. */
const echo: Run = (request, client) => {
  const { replies } = client;
  const bytes = request.bytes(1);
  replies.admit(bytes.length);
  replies.openBulk(bytes.length).set(bytes);
  replies.closeBulk();
  return undefined;
};

/** PING [bytes] */
const ping: Run = (request, client) => {
  if (request.count > 1) return echo(request, client);
  client.reply(PONG);
  return undefined;
};

/** HELLO [version [AUTH name password] [SETNAME name]] */
const hello: Run = (request, client) => {
  // The replies before it are still of the version before.
  if (client.isBusy) return WAIT;
  client.reply(greet(request, client));
  return undefined;
};

function greet(request: Request, client: CommandClient): Reply {
  let { protocol, name } = client;
  if (request.count > 1) {
    const version = request.text(1);
    if (version !== '2' && version !== '3') return new Failure('NOPROTO', 'unsupported protocol version');
    protocol = version === '3' ? 3 : 2;
  }
  for (let index = 2; index < request.count; index += 2) {
    if (request.isWord(index, 'auth')) return NO_PASSWORD;
    if (!request.isWord(index, 'setname'))
      throw invalid(`HELLO has SETNAME name, and no ${request.text(index).slice(0, 32)}`);
    if (index + 1 === request.count) throw invalid('the name after SETNAME is missing');
    name = nameOf(request, index + 1);
  }
  client.protocol = protocol;
  client.name = name;
  return new ReplyMap([
    ['server', 'bedrock-node'],
    ['version', client.daemon.version],
    ['proto', protocol],
    ['id', client.id],
    ['mode', 'standalone'],
    ['role', 'master'],
    ['modules', []],
  ]);
}

/** An argument that is to stand as a word in what describes a connection. @throws INVALID_ARGUMENT */
export function nameOf(request: Request, index: number): string {
  const name = request.text(index);
  if (request.lengthOf(index) <= MAX_NAME_BYTES && /^[!-~]*$/.test(name)) return name;
  throw invalid(`a name has at most ${MAX_NAME_BYTES} printable characters, and no blanks`);
}

/**
 * SELECT provider: its id or its name; 0, which no provider of regions can have, is the one that a connection begins with. What came
 * before it went where it meant to, as names are looked up on arrival.
 */
const select = answering((request, client) => {
  const provider = request.text(1);
  client.select(provider === '0' ? undefined : provider);
  return OK;
});

/** RESET: as the connection was when it began. */
const reset: Run = (_request, client) => {
  // The replies before it are still of the version before.
  if (client.isBusy) return WAIT;
  client.protocol = 2;
  client.name = '';
  client.isInTransaction = false;
  client.tellsDetails = false;
  client.uploads.abandon();
  client.select(undefined);
  client.reply(RESET);
  return undefined;
};

/** Of Redis's settings those that its own tools ask for: there are no snapshots, and no log of the commands. */
const SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ['save', ''],
  ['appendonly', 'no'],
];

/** CONFIG GET name… */
const config = answering((request) => {
  if (request.isWord(1, 'get')) return new ReplyMap(SETTINGS.filter(([name]) => isNamed(request, name)));
  throw invalid('the configuration is a file; CONFIG changes nothing');
});

const auth = answering(() => NO_PASSWORD);

const quit = answering((_request, client) => {
  client.quit();
  return OK;
});

/** Whether an argument from the third on is the word. */
function isNamed(request: Request, name: string): boolean {
  for (let index = 2; index < request.count; index++) if (request.isWord(index, name)) return true;
  return false;
}

export const CONNECTION_COMMANDS: readonly Command[] = [
  { name: 'ping', arity: [1, 2], run: ping, summary: 'Answers PONG, or with what it was given.' },
  { name: 'echo', arity: [2, 2], run: echo, summary: 'Answers with what it was given.' },
  { name: 'hello', arity: [1, 7], run: hello, summary: 'Chooses the version of the protocol.' },
  { name: 'auth', arity: [2, 3], run: auth, summary: 'Fails: there is no password.' },
  { name: 'select', arity: [2, 2], run: select, summary: 'Chooses the provider, by id or name.' },
  { name: 'config', arity: [2, MANY], run: config, summary: 'CONFIG GET knows save and appendonly.' },
  {
    name: 'reset',
    arity: [1, 1],
    run: reset,
    endsTransaction: true,
    summary: 'Makes the connection as it was at first.',
  },
  { name: 'quit', arity: [1, 1], run: quit, endsTransaction: true, summary: 'Ends the connection.' },
];
