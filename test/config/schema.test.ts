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
});

describe('a schema of anybody else', () => {
  it('is judged before it is used', () => {
    expect(() => compileSchema({ type: 'object', minProperties: 'none' })).toThrow();
  });
});
