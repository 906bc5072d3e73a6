/** Finds foreign code in a stack, for messages about what a library did outside of any call. */
import { fileURLToPath } from 'node:url';

/** This package's own code, compiled or not. */
const OURS = ['core', 'backends', 'providers', 'native'].map((folder) =>
  fileURLToPath(new URL(`../../${folder}/`, import.meta.url)),
);

/** Characters of a stack that are searched, at most: a library can make a stack of any length. */
const MAX_STACK = 2 ** 22;

/** The end of a line of a stack that names a file. */
const POSITION = /:(\d+):\d+\)?$/;
const BEGIN = 'at ';

/**
 * @param stack that of an error; anything else has no location
 * @returns `file:line` of the innermost frame outside this package and Node.js, else the innermost
 *   of this package; undefined if there is neither
 */
export function locationInStack(stack: unknown): string | undefined {
  if (typeof stack !== 'string') return undefined;
  const locations = stack
    .slice(0, MAX_STACK)
    .split('\n')
    .flatMap((line) => frameIn(line) ?? []);
  const found = locations.find(({ file }) => !OURS.some((folder) => file.startsWith(folder))) ?? locations[0];
  return found && `${found.file}:${found.number}`;
}

/**
 * What a line names: `at f (FILE:1:2)` or `at FILE:1:2`. ES modules appear by their URL, CommonJS
 * ones by their path, and both may have brackets in them. Its time is in proportion to the line.
 */
function frameIn(line: string): { readonly file: string; readonly number: string } | undefined {
  const text = line.trimStart();
  if (text === line || !text.startsWith(BEGIN)) return undefined;
  const position = POSITION.exec(text);
  if (position === null) return undefined;
  const { index, 1: number = '' } = position;
  for (let open = text.lastIndexOf('(', index); open > 0; open = text.lastIndexOf('(', open - 1))
    if (isFileAt(text, open + 1)) return { file: pathOf(text.slice(open + 1, index)), number };
  return isFileAt(text, BEGIN.length) ? { file: pathOf(text.slice(BEGIN.length, index)), number } : undefined;
}

function isFileAt(text: string, at: number): boolean {
  return text.startsWith('/', at) || text.startsWith('file:///', at);
}

function pathOf(file: string): string {
  try {
    return file.startsWith('file:') ? fileURLToPath(file) : file;
  } catch {
    // The text is not a stack that Node.js makes.
    return file;
  }
}
