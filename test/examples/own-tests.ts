/**
 * The tests that the examples bring along: each is a package of its own, and they run under
 * node:test as its user runs them.
 */
import { describe, expect } from '@jest/globals';
import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { hasCommand, needs } from '../fixtures/needs.js';

export const FOLDER = path.resolve(import.meta.dirname, '../../examples');
export const EXAMPLES = [
  'backend-redis',
  'backend-tiered',
  'cache',
  'catalogue',
  'checkpoint',
  'pairs',
  'provider-counter',
  'workflow',
];

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

export function itPassesItsOwnTests(name: string): void {
  const isHere = name !== 'backend-redis' || hasCommand('redis-server');
  describe(`examples/${name}`, () => {
    needs('redis-server', isHere).it('passes its own tests', async () => {
      const { status, output } = await runTests(path.join(FOLDER, name));
      expect({ status, failures: failuresOf(output) }).toEqual({ status: 0, failures: [] });
      expect(Number(/^# pass (\d+)$/m.exec(output)?.[1])).toBeGreaterThan(0);
    });
  });
}
