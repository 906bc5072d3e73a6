/**
 * A configuration as read, from a file, standard input or a program: JSON, JSON with comments, or TOML, with short keys
 * expanded. Text that cannot be parsed ends here, with line and column; faults of its keys go along, to be reported together
 * with what is wrong with the values, which is checked later.
 */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import * as jsonc from 'jsonc-parser';
import * as toml from 'smol-toml';
import { BedrockError } from '../base/errors.js';
import { withCure } from '../base/system-cure.js';
import {
  configError,
  type ConfigIssue,
  type ConfigPath,
  expected,
  formatPath,
} from '../validation/issues.js';
import { expand, isObject, type JsonObject, type Positions } from './expand.js';

export type ConfigFormat = 'json' | 'toml';

export interface ConfigDocument {
  /** File name as the user gave it, or `<stdin>`, or `<config>` for an object. */
  readonly source: string;
  /** Folder that relative paths count from. */
  readonly directory: string;
  /** The values, short keys expanded. */
  readonly root: JsonObject;
  /** Keys that stand twice or cannot be keys; `root` goes without what they say. */
  readonly issues: readonly ConfigIssue[];
  /** Line and column of a value, where the format tells them. */
  locate(path: ConfigPath): { line: number; column: number } | undefined;
}

/**
 * Reads a configuration file. TOML if its name ends in .toml or `format` says so, else JSON, with comments allowed. Relative paths
 * in it count from its folder, or from the working directory if it is no regular file.
 * @throws CONFIG_INVALID
 */
export async function readConfigFile(file: string, format?: ConfigFormat): Promise<ConfigDocument> {
  let text: string;
  let directory: string;
  try {
    directory = await directoryOf(file);
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new BedrockError('CONFIG_INVALID', `${file}: cannot be read: ${withCure(cause)}`, {
      details: { source: file, issues: [] },
      cause,
    });
  }
  const actual = format ?? (file.toLowerCase().endsWith('.toml') ? 'toml' : 'json');
  return parseConfig(text, actual, file, directory);
}

/** Names of descriptors, be they of files. /dev has folders of the user's as well, such as /dev/shm. */
const DESCRIPTORS = /^\/(?:proc\/|dev\/(?:fd\/|stdin$))/;

/** What is handed over by a descriptor (`/dev/stdin`, `<(…)` of a shell) or through a pipe lies in no folder of the user's. */
async function directoryOf(file: string): Promise<string> {
  const place = path.resolve(file);
  const isOfUser = (await stat(place)).isFile() && !DESCRIPTORS.test(place);
  return isOfUser ? path.dirname(place) : process.cwd();
}

/**
 * @param source what messages call the text
 * @param directory folder that relative paths count from; the working directory unless told
 * @throws CONFIG_INVALID
 */
export function parseConfig(
  text: string,
  format: ConfigFormat,
  source: string,
  directory = process.cwd(),
): ConfigDocument {
  const positions: Positions = new WeakMap();
  const issues: ConfigIssue[] = [];
  // A byte order mark, which some editors write.
  const content = text.replace(/^\uFEFF/, '');
  try {
    const parsed =
      format === 'toml' ? parseToml(content, source) : parseJson(content, source, positions, issues);
    return documentOf(parsed, { source, directory, text: content, positions, issues });
  } catch (error) {
    // The parsers call themselves for each level.
    if (!(error instanceof RangeError)) throw error;
    throw configError(source, [
      { code: 'CONFIG_INVALID', path: '$', message: 'it has too many levels, one inside the other' },
    ]);
  }
}

/**
 * A configuration that a program made. The object is copied.
 * @throws CONFIG_INVALID
 */
export function configFromObject(value: object, directory = process.cwd()): ConfigDocument {
  return documentOf(value, { source: '<config>', directory, text: '', positions: new WeakMap(), issues: [] });
}

interface Parsed {
  source: string;
  directory: string;
  text: string;
  positions: Positions;
  issues: ConfigIssue[];
}

function documentOf(parsed: unknown, { source, directory, text, positions, issues }: Parsed): ConfigDocument {
  const root = expand(parsed, positions, (path, message, position) => {
    issues.push({
      code: 'CONFIG_INVALID',
      path: formatPath(path),
      message,
      ...lineAndColumn(text, position),
    });
  });
  if (!isObject(root)) {
    const position = text === '' ? undefined : text.search(/\S/);
    const message = expected(root, 'an object');
    const issue: ConfigIssue = {
      code: 'CONFIG_INVALID',
      path: '$',
      message,
      ...lineAndColumn(text, position),
    };
    throw configError(source, [...issues, issue]);
  }
  return {
    source,
    directory,
    root,
    issues,
    locate(path) {
      const position = locate(root, positions, path);
      return position === undefined ? undefined : lineAndColumn(text, position);
    },
  };
}

/** Offset of the value at a path, or of the nearest value around it that the text has. */
function locate(root: JsonObject, positions: Positions, path: ConfigPath): number | undefined {
  let value: unknown = root;
  let position: number | undefined;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) break;
    position = positions.get(value)?.get(step) ?? position;
    value = (value as Record<string | number, unknown>)[step];
  }
  return position;
}

function lineAndColumn(text: string, position: number): { line: number; column: number };
function lineAndColumn(text: string, position: number | undefined): { line?: number; column?: number };
function lineAndColumn(text: string, position: number | undefined): { line?: number; column?: number } {
  if (position === undefined) return {};
  const before = text.slice(0, position).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

function parseToml(text: string, source: string): unknown {
  try {
    return toml.parse(text);
  } catch (error) {
    if (!(error instanceof toml.TomlError)) throw error;
    const [reason = ''] = error.message.split('\n');
    const message = reason.replace(/^Invalid TOML document/, 'malformed TOML');
    const { line, column } = error;
    throw configError(source, [{ code: 'CONFIG_INVALID', path: '$', message, line, column }]);
  }
}

/** Says of each of the parser's codes what is wrong. */
const JSON_FAULTS: Record<string, string> = {
  InvalidSymbol: 'a word that is neither a string in double quotes, a number, true, false nor null',
  InvalidNumberFormat: 'a malformed number',
  PropertyNameExpected: 'a key in double quotes is missing',
  ValueExpected: 'a value is missing',
  ColonExpected: 'a colon is missing',
  CommaExpected: 'a comma is missing',
  CloseBraceExpected: 'a closing brace is missing',
  CloseBracketExpected: 'a closing bracket is missing',
  EndOfFileExpected: 'something stands after the end of the configuration',
  InvalidCommentToken: 'a malformed comment',
  UnexpectedEndOfComment: 'a comment does not end',
  UnexpectedEndOfString: 'a string does not end',
  UnexpectedEndOfNumber: 'a number does not end',
  InvalidUnicode: 'a malformed \\u escape',
  InvalidEscapeCharacter: 'an unknown escape',
  InvalidCharacter: 'a character that JSON does not allow here',
};

function parseJson(text: string, source: string, positions: Positions, issues: ConfigIssue[]): unknown {
  const errors: jsonc.ParseError[] = [];
  const tree = jsonc.parseTree(text, errors, { allowTrailingComma: true });
  if (errors.length > 0 || tree === undefined) {
    const [first] = errors;
    const fault = first === undefined ? 'ValueExpected' : jsonc.printParseErrorCode(first.error);
    const message = `malformed JSON: ${JSON_FAULTS[fault] ?? fault}`;
    throw configError(source, [
      { code: 'CONFIG_INVALID', path: '$', message, ...lineAndColumn(text, first?.offset ?? 0) },
    ]);
  }
  return valueOf(tree, [], (path, message, position) => {
    issues.push({
      code: 'CONFIG_INVALID',
      path: formatPath(path),
      message,
      ...lineAndColumn(text, position),
    });
  });

  function valueOf(
    node: jsonc.Node,
    path: ConfigPath,
    report: (path: ConfigPath, message: string, position: number) => void,
  ): unknown {
    if (node.type === 'array') {
      const entries = node.children ?? [];
      const array = entries.map((entry, index) => valueOf(entry, [...path, index], report));
      positions.set(array, new Map(entries.map((entry, index) => [index, entry.offset])));
      return array;
    }
    if (node.type !== 'object') return node.value;
    const object = Object.create(null) as JsonObject;
    const noted = new Map<string | number, number>();
    for (const property of node.children ?? []) {
      const [keyNode, entry] = property.children ?? [];
      if (keyNode === undefined || entry === undefined) continue;
      const key = keyNode.value as string;
      if (noted.has(key)) {
        report([...path, key], 'this key stands here twice', keyNode.offset);
        continue;
      }
      noted.set(key, keyNode.offset);
      object[key] = valueOf(entry, [...path, key], report);
    }
    positions.set(object, noted);
    return object;
  }
}
