/** docs/errors.md and the table of codes say the same. */
import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { ERROR_CODES } from '../../core/base/errors.js';

test('docs/errors.md lists every code with its status and meaning, and no other', async () => {
  const page = await readFile(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([A-Z_]+)` +\| (\d+) +\| (.*?) +\|$/gm)].map(
    ([, code, status, meaning]) => `${code ?? ''} ${status ?? ''} ${meaning ?? ''}`,
  );
  const table = Object.entries(ERROR_CODES).map(
    ([code, { status, meaning }]) => `${code} ${status} ${meaning}`,
  );
  expect(rows).toEqual(table);
});
