/** COMMAND: describes the commands. Many clients ask for it when they connect. */
import { invalid } from '../base/errors.js';
import type { Command, Run } from './command.js';
import { answering } from './connection-commands.js';
import { ReplyMap, ReplySet, Simple, type Reply } from './replies.js';
import type { Request } from './request.js';

/** The version in which all commands appeared. Clients show it beside a command. */
const FIRST_VERSION = '0.1.0';

const NO_KEYS = [0, 0, 0] as const;

/** COMMAND [COUNT | LIST | DOCS [name]… | INFO [name]… | GETKEYS command [argument]…] */
export function commandCommand(all: () => readonly Command[]): Run {
  return answering((request) => {
    if (request.count === 1) return all().map(describe);
    if (request.isWord(1, 'count') && request.count === 2) return all().length;
    if (request.isWord(1, 'list')) {
      if (request.count === 2) return all().map(({ name }) => name);
      throw invalid('COMMAND LIST gives all commands; it has no filters');
    }
    if (request.isWord(1, 'info'))
      return request.count === 2
        ? all().map(describe)
        : named(request, all()).map((command) => (command === undefined ? null : describe(command)));
    if (request.isWord(1, 'docs'))
      return new ReplyMap(
        (request.count === 2 ? all() : named(request, all()))
          .filter((command) => command !== undefined)
          .map((command) => [command.name, documentation(command)]),
      );
    if (request.isWord(1, 'getkeys')) return keysOf(request, all());
    throw invalid(`COMMAND has COUNT, LIST, INFO, DOCS and GETKEYS, not ${request.text(1).slice(0, 32)}`);
  });
}

/** The commands that the arguments from the third on name, in order. */
function named(request: Request, all: readonly Command[]): (Command | undefined)[] {
  // A reply may be a hundred times as long as its request.
  if (request.count - 2 > all.length) throw invalid(`${all.length} commands may be named at once`);
  const found: (Command | undefined)[] = [];
  for (let index = 2; index < request.count; index++)
    found.push(all.find(({ name }) => request.isWord(index, name)));
  return found;
}

function documentation({ name, group, summary }: Command): ReplyMap {
  return new ReplyMap([
    ['summary', summary],
    ['since', FIRST_VERSION],
    ['group', group ?? (name.startsWith('blob.') ? 'module' : 'generic')],
  ]);
}

/**
 * Describes a command as Redis 7 does: name, arity (negative: a minimum), flags, first and last
 * key, step; then categories of access control, hints for proxies, places of keys, and subcommands.
 */
function describe(command: Command): Reply {
  const { name, arity, keys = NO_KEYS } = command;
  const [least, most] = arity;
  const { flags, category } = kindOf(command);
  return [
    name,
    most === least ? least : -least,
    new ReplySet(flags.map((flag) => new Simple(flag))),
    ...keys,
    new ReplySet([new Simple(`@${category}`), new Simple('@slow')]),
    [],
    command.keys === undefined ? [] : [keySpecification(command)],
    [],
  ];
}

/** Commands without regions are also carried out while the daemon starts. */
function kindOf({ isWrite, isRead, keys }: Command): { flags: readonly string[]; category: string } {
  if (isWrite === true) return { flags: ['write'], category: 'write' };
  if (isRead === true || keys !== undefined) return { flags: ['readonly'], category: 'read' };
  return { flags: ['noscript', 'loading', 'stale'], category: 'connection' };
}

/** https://redis.io/docs/latest/develop/reference/key-specs/ */
function keySpecification({ isWrite, keys = NO_KEYS }: Command): ReplyMap {
  const [first, last, step] = keys;
  const specification = (type: string, spec: readonly (readonly [string, Reply])[]): ReplyMap =>
    new ReplyMap([
      ['type', type],
      ['spec', new ReplyMap(spec)],
    ]);
  return new ReplyMap([
    [
      'flags',
      new ReplySet([
        new Simple(isWrite === true ? 'RW' : 'RO'),
        new Simple(isWrite === true ? 'update' : 'access'),
      ]),
    ],
    ['begin_search', specification('index', [['index', first]])],
    // The last key, counted from the first, unless it counts from the end.
    [
      'find_keys',
      specification('range', [
        ['lastkey', last < 0 ? last : last - first],
        ['keystep', step],
        ['limit', 0],
      ]),
    ],
  ]);
}

/** The arguments that name regions, of the whole command in the request. */
function keysOf(request: Request, all: readonly Command[]): Reply {
  const command = all.find(({ name }) => request.count > 2 && request.isWord(2, name));
  if (command === undefined) throw invalid('COMMAND GETKEYS takes a command and its arguments');
  if (command.keys === undefined) throw invalid(`${command.name} names no region`);
  const [first, last, step] = command.keys;
  const found: Uint8Array[] = [];
  // The command itself is the third argument.
  const end = last < 0 ? request.count + last : 2 + last;
  for (let index = 2 + first; index <= end && index < request.count; index += step)
    found.push(request.bytes(index));
  return found;
}
