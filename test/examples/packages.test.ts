/**
 * The examples that are packages: the configuration that each brings is valid, and they load. Their
 * own tests are the long test.
 */
import { describe, expect, it } from '@jest/globals';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runHere } from '../fixtures/run-here.js';
import { EXAMPLES, FOLDER } from './own-tests.js';

describe.each(EXAMPLES)('examples/%s', (name) => {
  const folder = path.join(FOLDER, name);
  it('has a configuration that is valid, in a copy as in its place', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'bedrock-example-'));
    try {
      const copy = path.join(home, name);
      await cp(folder, copy, { recursive: true, filter: (from) => path.basename(from) !== 'data' });
      await symlink(path.resolve(FOLDER, '../node_modules'), path.join(home, 'node_modules'));
      await cp(path.join(FOLDER, 'node_modules'), path.join(copy, 'node_modules'), {
        recursive: true,
        verbatimSymlinks: false,
      });
      for (const place of [folder, copy]) {
        const ended = await runHere(['start', '-c', path.join(place, 'bedrock.json'), '--check']);
        expect(ended).toMatchObject({ status: 0, stderr: '' });
      }
    } finally {
      await rm(home, { recursive: true });
    }
  });
});
