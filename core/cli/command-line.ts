/**
 * Interprets what commander found on the command line: which command is meant, and the text of a
 * usage error: a sentence with the command, what was found, and the most similar valid word.
 */
import { Command, type CommanderError } from 'commander';
import { looksLikeAddress } from '../net/address.js';
import { UsageError } from './failure.js';

const DEFAULT_COMMAND = 'start';

/** Other common words for these commands; others are found by spelling. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  run: 'start',
  launch: 'start',
  serve: 'start',
  stop: 'shutdown',
  kill: 'shutdown',
  status: 'stats',
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
  abort: 'cancel',
  jobs: 'operations',
  rename: 'mv',
  move: 'mv',
};

/** The root of all commands. */
export function rootCommand(name: string): Command {
  return withOneForm(new Command(name));
}

/** A command below `parent`. */
export function subcommand(parent: Command, name: string): Command {
  return withOneForm(parent.command(name));
}

/** All errors are thrown as UsageErrors; commander prints only help and the version. */
function withOneForm(command: Command): Command {
  return command
    .showHelpAfterError(false)
    .configureOutput({ outputError: () => undefined, writeErr: () => undefined })
    .exitOverride((error) => {
      throw error.exitCode === 0 ? error : new UsageError(sentenceOf(error, command));
    });
}

/**
 * `bedrock -c bedrock.json` and `bedrock unix:/path` mean `bedrock start …`. Not commander's
 * default command, which would take every unknown word as its argument, including mistyped
 * commands.
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
  const fullName = fullNameOf(command);
  const help = `${fullName} --help`;
  const [, found = ''] = /'([^']*)'/.exec(message) ?? [];
  switch (code) {
    case 'commander.help':
      return `${fullName} needs a command: ${commandsOf(command).join(', ')} (${help})`;
    case 'commander.unknownCommand':
      return `${fullName} has no command ${quoted(found)}${nearestCommand(found, message, command)} (${help})`;
    case 'commander.unknownOption': {
      const nearest = suggestionIn(message);
      return `${fullName} has no option ${found}${nearest === '' ? '' : `; did you mean ${nearest}?`} (${help})`;
    }
    case 'commander.optionMissingArgument':
      return `${fullName}: a value is missing: ${found}`;
    case 'commander.missingArgument':
      return `${fullName}: ${found} is missing; the form is: ${fullName} ${command.usage()}`;
    case 'commander.excessArguments':
      return `${fullName}: there are too many arguments; the form is: ${fullName} ${command.usage()}`;
    case 'commander.invalidArgument':
      return `${fullName}: ${invalidValue(message)}`;
    default:
      return `${fullName}: ${message.replace(/^error: /, '')}`;
  }
}

/** For example `bedrock region read`. */
function fullNameOf(command: Command): string {
  return command.parent === null ? command.name() : `${fullNameOf(command.parent)} ${command.name()}`;
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

/** The suggestions of commander, as in `(Did you mean one of a, b?)`. */
function suggestionIn(message: string): string {
  const [, names = ''] = /\(Did you mean (?:one of )?(.*)\?\)/s.exec(message) ?? [];
  return names.replace(/, ([^,]*)$/, ' or $1');
}

/**
 * From `option '--size <N>' argument 'x' is invalid. It takes a number.`, and the same for
 * arguments of commands.
 */
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
