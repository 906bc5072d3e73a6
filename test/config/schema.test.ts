/** The schemas of this package, which no start of a daemon checks: they are held right here. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { checkSchema, compileSchema, readSchema } from '../../core/validation/schema.js';

const folder = path.resolve(import.meta.dirname, '../../schemas');
const names = readdirSync(folder).filter((name) => name.endsWith('.json'));

describe('a schema of this package', () => {
  it.each(names)('is valid: %s', (name) => {
    const schema = readSchema(pathToFileURL(path.join(folder, name)));
    expect(() => checkSchema(schema)).not.toThrow();
  });

  // An object is compiled now, a file of this package was compiled by the build.
  it.each(names)('is compiled by the build to what it says: %s', (name) => {
    const url = pathToFileURL(path.join(folder, name));
    for (const value of [
      {},
      [],
      'text',
      { path: 7, nothing: 1, margo: { mercury: { auto_sm: true, no: 1 } } },
    ])
      expect(compileSchema(url)(value)).toEqual(compileSchema(readSchema(url))(value));
  });
});

describe('the schemas of file and pmem', () => {
  it('have the same keys, so that a pool can change its type', () => {
    const [file, pmem] = ['file', 'pmem'].map((name) => {
      const url = pathToFileURL(path.join(folder, `${name}.schema.json`));
      return Object.keys((readSchema(url) as { properties: object }).properties);
    });
    expect(file).toEqual(pmem);
  });
});

describe('a schema of anybody else', () => {
  it('is judged before it is used', () => {
    expect(() => compileSchema({ type: 'object', minProperties: 'none' })).toThrow();
  });
});
