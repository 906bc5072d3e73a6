/**
 * Commands about the connection and the daemon: those that Redis clients send when they connect,
 * and those that people enter by hand.
 */
import { invalid } from '../base/errors.js';
import { alone, type Command, command, type CommandSession, KNOWN_ONLY, MANY, type Run } from './command.js';
import { Failure, OK, ReplyMap, Simple, type Reply } from './replies.js';
import type { Request } from './request.js';
import type { Step } from './step.js';

/** Longest name of a connection, bytes. */
const MAX_NAME_BYTES = 256;

const PONG = new Simple('PONG');
const RESET = new Simple('RESET');

/** Before AUTH too. */
const PUBLIC = { scope: 'public' } as const;

/** A command that answers at once. */
export function answering(answerOf: (request: Request, session: CommandSession) => Reply): Run {
  return (request, session) => {
    session.reply(answerOf(request, session));
    return undefined;
  };
}

/** Replies with the bytes of an argument. */
const echo: Run = (request, session) => {
  const { replies } = session;
  const bytes = request.bytes(1);
  replies.admit(bytes.length);
  replies.openBulk(bytes.length).set(bytes);
  replies.closeRoom();
  return undefined;
};

/** PING [bytes] */
const ping: Run = (request, session) => {
  if (request.count > 1) return echo(request, session);
  session.reply(PONG);
  return undefined;
};

// oxlint-disable-next-line typescript/require-await -- a step
const echoStep: Step = async (args) => args.bytes(1);

// oxlint-disable-next-line typescript/require-await -- a step
const pingStep: Step = async (args) => (args.count > 1 ? args.bytes(1) : PONG);

/** In the words of Redis, which clients know. */
const UNKNOWN = new Failure(
  'NOAUTH',
  'HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
);

/**
 * HELLO [version [AUTH name password] [SETNAME name]]: alone, since the replies before it still use
 * the old version.
 */
function greet(request: Request, session: CommandSession): Reply {
  let { protocol, name } = session;
  let credentials: readonly [id: string, secret: string] | undefined;
  if (request.count > 1) {
    const version = request.text(1);
    if (version !== '2' && version !== '3') return new Failure('NOPROTO', 'unsupported protocol version');
    protocol = version === '3' ? 3 : 2;
  }
  for (let index = 2; index < request.count; index += 2) {
    if (request.isWord(index, 'auth')) {
      if (index + 2 >= request.count) throw invalid('AUTH takes an id and a token');
      credentials = [request.text(index + 1), request.text(index + 2)];
      index++;
      continue;
    }
    if (!request.isWord(index, 'setname'))
      throw invalid(`HELLO has AUTH id token and SETNAME name, not ${request.text(index).slice(0, 32)}`);
    if (index + 1 === request.count) throw invalid('the name after SETNAME is missing');
    name = nameOf(request, index + 1);
  }
  if (credentials !== undefined) session.rights.authenticate(...credentials);
  else if (session.rights.mustAuthenticate) return UNKNOWN;
  session.protocol = protocol;
  session.name = name;
  return new ReplyMap([
    ['server', 'bedrock-node'],
    ['version', session.daemon.version],
    ['proto', protocol],
    ['id', session.id],
    ['mode', 'standalone'],
    ['role', 'master'],
    ['modules', []],
  ]);
}

/**
 * An argument that must be one word, since it appears in the description of a connection.
 * @throws INVALID_ARGUMENT
 */
export function nameOf(request: Request, index: number): string {
  const name = request.text(index);
  if (request.lengthOf(index) <= MAX_NAME_BYTES && /^[!-~]*$/.test(name)) return name;
  throw invalid(`a name has at most ${MAX_NAME_BYTES} printable characters, and no blanks`);
}

/**
 * SELECT provider: by id or by name. 0, which no provider of regions can have, is the provider that
 * a connection starts with. Earlier requests are not affected, since names are looked up on
 * arrival.
 */
const select = answering((request, session) => {
  const provider = request.text(1);
  session.select(provider === '0' ? undefined : provider);
  return OK;
});

/** RESET: restores the connection's first state; alone, like HELLO. */
const reset = answering((_request, session) => {
  session.protocol = 2;
  session.name = '';
  session.discard();
  session.watched = undefined;
  session.tellsDetails = false;
  session.uploads.abandon();
  session.select(undefined);
  session.rights.forget();
  return RESET;
});

/**
 * The settings of Redis that its own tools ask for: there are no snapshots, and there is no log of
 * commands.
 */
const SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ['save', ''],
  ['appendonly', 'no'],
];

/** CONFIG GET name… */
const config = answering((request) => {
  if (request.isWord(1, 'get')) return new ReplyMap(SETTINGS.filter(([name]) => isNamed(request, name)));
  throw invalid('the configuration is a file; CONFIG changes nothing');
});

/**
 * AUTH token | AUTH id token: alone, since the requests before it are still those of the one
 * before.
 */
const auth = answering((request, session) => {
  if (request.count === 2) session.rights.authenticate(undefined, request.text(1));
  else session.rights.authenticate(request.text(1), request.text(2));
  return OK;
});

const quit = answering((_request, session) => {
  session.quit();
  return OK;
});

/** Whether an argument from the third on is this word. */
function isNamed(request: Request, name: string): boolean {
  for (let index = 2; index < request.count; index++) if (request.isWord(index, name)) return true;
  return false;
}

export const CONNECTION_COMMANDS: readonly Command[] = [
  command('ping', [1, 2], ping, 'Returns PONG, or the argument.', {
    step: pingStep,
    ...KNOWN_ONLY,
  }),
  command('echo', [2, 2], echo, 'Returns the argument.', { step: echoStep, ...KNOWN_ONLY }),
  command('hello', [1, 7], alone(answering(greet)), 'Chooses the version of the protocol.', PUBLIC),
  command('auth', [2, 3], alone(auth), 'Authenticates the client by a token.', PUBLIC),
  command('select', [2, 2], select, 'Chooses the provider, by id or name.', KNOWN_ONLY),
  command('config', [2, MANY], config, 'CONFIG GET knows save and appendonly.', KNOWN_ONLY),
  command('reset', [1, 1], alone(reset), 'Restores the first state of the connection.', {
    isOfTransactions: true,
    ...PUBLIC,
  }),
  command('quit', [1, 1], quit, 'Ends the connection.', { isOfTransactions: true, ...PUBLIC }),
];
