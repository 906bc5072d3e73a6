/** What the first commands of the README stand on: npx finds the command in a clone. */
import { expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Clone } from './clone.js';

it('npx finds the command in a clone', async () => {
  const clone = await Clone.make();
  try {
    const { PATH } = process.env;
    const options = { cwd: clone.folder, env: { ...clone.env, PATH } };
    const { stdout } = await promisify(execFile)(
      'npx',
      ['--offline', '--yes=false', 'bedrock', '--help'],
      options,
    );
    expect(stdout).toContain('Usage: bedrock');
  } finally {
    await clone.remove();
  }
});
