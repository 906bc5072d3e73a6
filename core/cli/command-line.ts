/**
 * The command line as commander takes it apart: which command is meant, and what is said of one that is wrong: a sentence that names
 * the command, what it found, and the nearest that there is.
 */
import { Command, type CommanderError } from 'commander';
import { looksLikeAddress } from '../net/address.js';
import { UsageError } from './failure.js';

const DEFAULT_COMMAND = 'start';

/** What people type who know such a command by another name; the rest is found by its letters. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  run: 'start',
  launch: 'start',
  serve: 'start',
  stop: 'shutdown',
  kill: 'shutdown',
  status: 'stats',
  config: 'query',
  ls: 'region ls',
  blob: 'region',
  delete: 'rm',
  del: 'rm',
  remove: 'rm',
  erase: 'rm',
  list: 'ls',
  get: 'read',
  cat: 'read',
  put: 'write',
  make: 'create',
  new: 'create',
  info: 'stat',
  show: 'stat',
  flush: 'persist',
  sync: 'persist',
  verify: 'check',
  fsck: 'check',
  fix: 'repair',
  cp: 'copy',
};

/** The root of all commands. */
export function rootCommand(name: string): Command {
  return withOneForm(new Command(name));
}

/** A command below `parent`. */
export function subcommand(parent: Command, name: string): Command {
  return withOneForm(parent.command(name));
}

/** Whatever is wrong is thrown as a UsageError; commander writes nothing but help and the version. */
function withOneForm(command: Command): Command {
  return command
    .showHelpAfterError(false)
    .configureOutput({ outputError: () => undefined, writeErr: () => undefined })
    .exitOverride((error) => {
      throw error.exitCode === 0 ? error : new UsageError(sentenceOf(error, command));
    });
}

/**
 * `bedrock -c bedrock.json` and `bedrock unix:/path` are `bedrock start …`. Not commander's default command, which takes every word
 * that it does not know for an argument of it, mistyped commands too.
 */
export function withDefaultCommand(argv: readonly string[]): string[] {
  const [node = '', script = '', ...words] = argv;
  const [first] = words;
  const isStart =
    first === undefined ||
    looksLikeAddress(first) ||
    (first.startsWith('-') && !['-h', '--help', '-V', '--version'].includes(first));
  return [node, script, ...(isStart ? [DEFAULT_COMMAND] : []), ...words];
}

function sentenceOf({ code, message }: CommanderError, command: Command): string {
  const place = placeOf(command);
  const help = `${place} --help`;
  const [, found = ''] = /'([^']*)'/.exec(message) ?? [];
  switch (code) {
    case 'commander.help':
      return `${place} needs a command: ${commandsOf(command).join(', ')} (${help})`;
    case 'commander.unknownCommand':
      return `${place} has no command ${quoted(found)}${nearestCommand(found, message, command)} (${help})`;
    case 'commander.unknownOption': {
      const nearest = suggestionIn(message);
      return `${place} has no option ${found}${nearest === '' ? '' : `; did you mean ${nearest}?`} (${help})`;
    }
    case 'commander.optionMissingArgument':
      return `${place}: a value is missing: ${found}`;
    case 'commander.missingArgument':
      return `${place}: ${found} is missing; the form is: ${place} ${command.usage()}`;
    case 'commander.excessArguments':
      return `${place}: there are too many arguments; the form is: ${place} ${command.usage()}`;
    case 'commander.invalidArgument':
      return `${place}: ${invalidValue(message)}`;
    default:
      return `${place}: ${message.replace(/^error: /, '')}`;
  }
}

/** `bedrock region read`. */
function placeOf(command: Command): string {
  return command.parent === null ? command.name() : `${placeOf(command.parent)} ${command.name()}`;
}

function commandsOf(command: Command): string[] {
  return command.commands.map((one) => one.name());
}

function nearestCommand(found: string, message: string, command: Command): string {
  const known = commandsOf(command);
  const word = OTHER_WORDS[found];
  const nearest =
    word !== undefined && known.includes(word.split(' ')[0] ?? '') ? word : suggestionIn(message);
  if (nearest !== '') return `; did you mean ${nearest}?`;
  const isFile = command.parent === null && /\.(json|toml)$/i.test(found);
  if (isFile) return `; a configuration is given with -c: bedrock -c ${found}`;
  return `; it has ${known.join(', ')}`;
}

/** What commander found to be near, as in `(Did you mean one of a, b?)`. */
function suggestionIn(message: string): string {
  const [, names = ''] = /\(Did you mean (?:one of )?(.*)\?\)/s.exec(message) ?? [];
  return names.replace(/, ([^,]*)$/, ' or $1');
}

/** From `option '--size <N>' argument 'x' is invalid. It takes a number.`, and the same for arguments of commands. */
function invalidValue(message: string): string {
  const option = /^error: option '([^']*)' argument '(.*)' is invalid\. (.*)$/s.exec(message);
  const argument = /^error: command-argument value '(.*)' is invalid for argument '([^']*)'\. (.*)$/s.exec(
    message,
  );
  const [name = '', value = '', why = ''] =
    option !== null ? option.slice(1) : argument !== null ? [argument[2], argument[1], argument[3]] : [];
  if (name === '') return message.replace(/^error: /, '');
  const allowed = why.replace(/^Allowed choices are (.*)\.$/, 'it takes one of $1').replace(/^It /, 'it ');
  return `${name}: found ${quoted(value)}; ${allowed.replace(/\.$/, '')}`;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
