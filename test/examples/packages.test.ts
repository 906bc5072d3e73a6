/** The examples that are packages: their own tests pass, and a daemon launches with the configuration that each brings. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bedrock, killAll } from '../fixtures/bedrock-process.js';
import { hasCommand, needs } from '../fixtures/needs.js';

const EXAMPLES = path.resolve(import.meta.dirname, '../../examples');

interface Outcome {
  status: number | null;
  output: string;
}

async function runTests(folder: string): Promise<Outcome> {
  const files = (await readdir(path.join(folder, 'test'))).filter((name) => name.endsWith('.test.js'));
  // One of node's own test runner would otherwise take itself for a part of this one.
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined };
  const child = spawn(process.execPath, ['--test', ...files.map((name) => path.join('test', name))], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { status, output };
}

/** What failed, with a few lines each. */
function failuresOf(output: string): string[] {
  return output
    .split(/^(?=\s*not ok )/m)
    .flatMap((part) => (/^\s*not ok /.test(part) ? part.slice(0, 1500) : []))
    .slice(0, 5);
}

afterAll(killAll);

describe.each(['backend-redis', 'backend-tiered', 'provider-counter'])('examples/%s', (name) => {
  const folder = path.join(EXAMPLES, name);
  const isHere = name !== 'backend-redis' || hasCommand('redis-server');

  needs('redis-server', isHere).it(
    'passes its own tests',
    async () => {
      const { status, output } = await runTests(folder);
      expect({ status, failures: failuresOf(output) }).toEqual({ status: 0, failures: [] });
      expect(Number(/^# pass (\d+)$/m.exec(output)?.[1])).toBeGreaterThan(0);
    },
    240_000,
  );

  it('has a configuration that is valid, in a copy as in its place', async () => {
    const home = await mkdtemp(path.join(tmpdir(), 'bedrock-example-'));
    try {
      const copy = path.join(home, name);
      await cp(folder, copy, { recursive: true, filter: (from) => path.basename(from) !== 'data' });
      await symlink(path.resolve(EXAMPLES, '../node_modules'), path.join(home, 'node_modules'));
      await cp(path.join(EXAMPLES, 'node_modules'), path.join(copy, 'node_modules'), {
        recursive: true,
        verbatimSymlinks: false,
      });
      for (const place of [folder, copy]) {
        const { exit } = bedrock(['start', '-c', path.join(place, 'bedrock.json'), '--check']);
        expect(await exit).toMatchObject({ status: 0, stderr: '' });
      }
    } finally {
      await rm(home, { recursive: true });
    }
  });
});
