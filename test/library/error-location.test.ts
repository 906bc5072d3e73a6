/** The file and line that are told of a library that does not load. */
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { locationOfError } from '../../core/library/error-location.js';

let home: string;
beforeAll(async () => {
  home = await realpath(await mkdtemp(path.join(tmpdir(), 'bedrock-place-')));
  const files = {
    'broken.mjs': 'export default {\n  a: 1\n  b: 2\n};\n',
    'imports.mjs': "import { a } from './between.mjs';\nthrow new Error('run by the search');\n",
    'between.mjs': "export { default as a } from './broken.mjs';\n",
    'whole.mjs': "import 'not-here';\nexport default 1;\n",
  };
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(home, name), text);
});
afterAll(async () => {
  await rm(home, { recursive: true });
});

function locationOf(error: Error, name: string): Promise<string> {
  return locationOfError(error, pathToFileURL(path.join(home, name)));
}

function withStack(error: Error, stack: string): Error {
  error.stack = stack;
  return error;
}

it.each([
  ['in the library itself', 'broken.mjs', 'broken.mjs:3'],
  ['in what it imports, at any distance', 'imports.mjs', 'imports.mjs; HOME/broken.mjs:3'],
  ['nowhere that can be found', 'whole.mjs', 'whole.mjs'],
])('finds a syntax error %s', async (_where, name, expected) => {
  const place = await locationOf(
    withStack(new SyntaxError('x'), 'SyntaxError: x\n    at node:internal'),
    name,
  );
  expect(place.replaceAll(home, 'HOME')).toBe(`HOME/${expected}`);
});

it('takes the place that Node tells of an error of linking', async () => {
  const url = pathToFileURL(path.join(home, 'between.mjs')).href;
  const error = withStack(new SyntaxError('no such export'), `${url}:1\nimport x\n       ^\nSyntaxError: x`);
  await expect(locationOf(error, 'imports.mjs')).resolves.toBe(
    `${path.join(home, 'imports.mjs')}; ${path.join(home, 'between.mjs')}:1`,
  );
});

it('takes the line of the library from the stack of any other error', async () => {
  const file = path.join(home, 'whole.mjs');
  const stack = `Error: x\n    at f (node:fs:1:1)\n    at ${pathToFileURL(file).href}:12:3`;
  await expect(locationOf(withStack(new Error('x'), stack), 'whole.mjs')).resolves.toBe(`${file}:12`);
});
