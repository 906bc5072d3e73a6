/**
 * A configuration as read from a file, standard input or a program: JSON, JSON with comments, or
 * TOML, with short keys expanded. Text that cannot be parsed fails here, with line and column.
 * Faults of its keys are kept, to be reported together with faults of its values, which are checked
 * later.
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
import { expand, isObject, type JsonObject, type Positions, type ReportFault } from './expand.js';

export type ConfigFormat = 'json' | 'toml';

/** The file of a configuration, which can be read again. */
export interface ConfigFile {
  /** Absolute. */
  readonly path: string;
  readonly format: ConfigFormat;
  readonly text: string;
  /** Base folder of relative paths. */
  readonly directory: string;
}

export interface ConfigDocument {
  /** Absent if it came from standard input, a pipe or a program. */
  readonly file?: ConfigFile;
  /** The file name as the user gave it, or `<stdin>`, or `<config>` for an object. */
  readonly source: string;
  /** Base folder of relative paths. */
  readonly directory: string;
  /** The values, with short keys expanded. */
  readonly root: JsonObject;
  /** Duplicate and invalid keys; `root` omits their values. */
  readonly issues: readonly ConfigIssue[];
  /** Line and column of a value, if the format provides them. */
  locate(path: ConfigPath): { line: number; column: number } | undefined;
}

/**
 * Reads a configuration file: TOML if its name ends in .toml or `format` says so, else JSON, with
 * comments allowed. Relative paths in it are relative to its folder, or to the working directory if
 * it is not a regular file.
 * @throws CONFIG_INVALID
 */
export async function readConfigFile(file: string, format?: ConfigFormat): Promise<ConfigDocument> {
  let text: string;
  let folder: string | undefined;
  try {
    folder = await folderOf(file);
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new BedrockError('CONFIG_INVALID', `${file}: cannot be read: ${withCure(cause)}`, {
      details: { source: file, issues: [] },
      cause,
    });
  }
  const actual = format ?? (file.toLowerCase().endsWith('.toml') ? 'toml' : 'json');
  const document = parseConfig(text, actual, file, folder);
  if (folder === undefined) return document;
  return { ...document, file: { path: path.resolve(file), format: actual, text, directory: folder } };
}

/**
 * Paths of descriptors, even of descriptors of files. /dev also contains folders for users, such as
 * /dev/shm.
 */
const DESCRIPTORS = /^\/(?:proc\/|dev\/(?:fd\/|stdin$))/;

/**
 * A configuration that is passed by a descriptor (`/dev/stdin`, `<(…)` of a shell) or through a
 * pipe has no folder of its own.
 */
async function folderOf(file: string): Promise<string | undefined> {
  const resolved = path.resolve(file);
  const isOfUser = (await stat(resolved)).isFile() && !DESCRIPTORS.test(resolved);
  return isOfUser ? path.dirname(resolved) : undefined;
}

/**
 * @param source name of the text in messages
 * @param directory base folder of relative paths. Default: the working directory
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
    // The parsers are recursive.
    if (!(error instanceof RangeError)) throw error;
    throw configError(source, [{ code: 'CONFIG_INVALID', path: '$', message: 'it is nested too deeply' }]);
  }
}

/**
 * A configuration from a program. The object is copied.
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

/** Notes faults of a text. */
function reportingTo(issues: ConfigIssue[], text: string): ReportFault {
  return (path, message, position) => {
    issues.push({
      code: 'CONFIG_INVALID',
      path: formatPath(path),
      message,
      ...lineAndColumn(text, position),
    });
  };
}

function documentOf(parsed: unknown, { source, directory, text, positions, issues }: Parsed): ConfigDocument {
  const root = expand(parsed, positions, reportingTo(issues, text));
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

/** Offset of the value at a path, or of the nearest enclosing value in the text. */
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

/** A text for each of the parser's codes. */
const JSON_FAULTS: Record<string, string> = {
  InvalidSymbol: 'a word that is neither a string in double quotes, a number, true, false nor null',
  InvalidNumberFormat: 'a malformed number',
  PropertyNameExpected: 'a key in double quotes is missing',
  ValueExpected: 'a value is missing',
  ColonExpected: 'a colon is missing',
  CommaExpected: 'a comma is missing',
  CloseBraceExpected: 'a closing brace is missing',
  CloseBracketExpected: 'a closing bracket is missing',
  EndOfFileExpected: 'there is text after the end of the configuration',
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
  return valueOf(tree, [], reportingTo(issues, text));

  function valueOf(node: jsonc.Node, path: ConfigPath, report: ReportFault): unknown {
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
        report([...path, key], 'this key is here twice', keyNode.offset);
        continue;
      }
      noted.set(key, keyNode.offset);
      object[key] = valueOf(entry, [...path, key], report);
    }
    positions.set(object, noted);
    return object;
  }
}
