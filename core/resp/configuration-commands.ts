/**
 * Commands that change the running configuration: the counterpart of the routes of
 * core/http/configuration-routes.ts. Entries are JSON, as over HTTP. Each is alone, since later
 * requests of the connection must see its effect.
 */
import { invalid } from '../base/errors.js';
import type { Changes } from '../runtime/changes.js';
import { describeProvider } from '../runtime/description.js';
import { ADMINISTERS, alone, type Command, command, type Run } from './command.js';
import { checkReady } from './daemon-commands.js';
import { checkedArgument, jsonArgument } from './json-arguments.js';
import { OK, type Reply } from './replies.js';
import type { Request } from './request.js';

/** What a command does after its first word was recognised. @returns the reply */
type Change = (request: Request, changes: Changes) => Promise<Reply>;

interface Words {
  /** Fewest and most words after the first one. */
  readonly arity: readonly [least: number, most: number];
  readonly form: string;
  readonly change: Change;
}

/** A command whose first argument says what is done. */
function changing(words: Readonly<Record<string, Words>>): Run {
  return alone((request, session) => {
    checkReady(session);
    const name = Object.keys(words).find((word) => request.isWord(1, word));
    const found = name === undefined ? undefined : words[name];
    const count = request.count - 2;
    if (found === undefined || count < found.arity[0] || count > found.arity[1]) {
      const forms = (found === undefined ? Object.values(words) : [found]).map(({ form }) => form);
      throw invalid(`the form is: ${forms.join(', or ')}`);
    }
    // Safe: it is alone, so that no command changes the protocol while this one runs.
    const encoded = found.change(request, session.daemon.changes).then((reply) => session.encode(reply));
    return session.calls.answerWith(encoded, true);
  });
}

const ok = async (change: Promise<void>): Promise<Reply> => {
  await change;
  return OK;
};

const provider = changing({
  add: {
    arity: [1, 3],
    form: 'BEDROCK.PROVIDER ADD json [BEFORE provider]',
    change: async (request, changes) => {
      if (request.count === 4 || (request.count === 5 && !request.isWord(3, 'before')))
        throw invalid('only BEFORE provider may follow');
      const before = request.count === 5 ? request.text(4) : undefined;
      return JSON.stringify(describeProvider(await changes.addProvider(jsonArgument(request, 2), before)));
    },
  },
  set: {
    arity: [2, 2],
    form: 'BEDROCK.PROVIDER SET provider json',
    change: (request, changes) =>
      ok(changes.changeProvider(request.text(2), checkedArgument(request, 3, 'ProviderChange'))),
  },
  rm: {
    arity: [1, 1],
    form: 'BEDROCK.PROVIDER RM provider',
    change: (request, changes) => ok(changes.removeProvider(request.text(2))),
  },
});

const library = changing({
  load: {
    arity: [1, 1],
    form: 'BEDROCK.LIBRARY LOAD library',
    change: (request, changes) => ok(changes.loadLibrary(libraryArgument(request.text(2)))),
  },
});

/** @throws INVALID_ARGUMENT */
function libraryArgument(name: string): string {
  if (name === '' || name.includes('\0'))
    throw invalid('a library is a path or the name of a package, without zero bytes');
  return name;
}

const executionPool = changing({
  add: {
    arity: [1, 1],
    form: 'BEDROCK.EXECUTIONPOOL ADD json',
    change: (request, changes) => ok(changes.addExecutionPool(jsonArgument(request, 2))),
  },
  rm: {
    arity: [1, 1],
    form: 'BEDROCK.EXECUTIONPOOL RM name',
    change: (request, changes) => ok(changes.removeExecutionPool(request.text(2))),
  },
});

const executionStream = changing({
  add: {
    arity: [1, 1],
    form: 'BEDROCK.EXECUTIONSTREAM ADD json',
    change: (request, changes) => ok(changes.addExecutionStream(jsonArgument(request, 2))),
  },
  rm: {
    arity: [1, 1],
    form: 'BEDROCK.EXECUTIONSTREAM RM name',
    change: (request, changes) => ok(changes.removeExecutionStream(request.text(2))),
  },
});

/** BEDROCK.RELOAD */
const reload = alone((_request, session) => {
  checkReady(session);
  const done = session.daemon.changes.reload();
  return session.calls.answerWith(
    done.then(() => session.encode(OK)),
    true,
  );
});

/** BEDROCK.SAVE */
const save = alone((_request, session) => {
  checkReady(session);
  const done = session.daemon.changes.save();
  return session.calls.answerWith(
    done.then((path) => session.encode(JSON.stringify({ path }))),
    true,
  );
});

export const CONFIGURATION_COMMANDS: readonly Command[] = [
  command('bedrock.provider', [2, 5], provider, 'Adds, changes or removes a provider.', ADMINISTERS),
  command('bedrock.reload', [1, 1], reload, 'Reads the configuration file again.', ADMINISTERS),
  command('bedrock.save', [1, 1], save, 'Writes the running configuration into its file.', ADMINISTERS),
  command('bedrock.library', [3, 3], library, 'Loads a library.', ADMINISTERS),
  command('bedrock.executionpool', [3, 3], executionPool, 'Adds or removes an execution pool.', ADMINISTERS),
  command(
    'bedrock.executionstream',
    [3, 3],
    executionStream,
    'Adds or removes an execution stream.',
    ADMINISTERS,
  ),
];
