/** Messages say what there is: the providers, the limit, the region by its own ID. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { codeOf, type Running, startDaemon, TWO_STORES } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';

const ID = '0'.repeat(32);

let running: Running;
beforeAll(async () => {
  running = await startDaemon(TWO_STORES);
});
afterAll(() => running.daemon.close());

it.each([
  [['stats', 'nosuch'], 1, 'PROVIDER_NOT_FOUND', ['store (42)', 'scratch (43)']],
  [['region', 'stat', ID, '-p', 'store'], 1, 'REGION_NOT_FOUND', [ID, 'memory']],
  [['region', 'ls', '-p', 'store', '-t', '1'], 1, 'INVALID_ARGUMENT', ['"store"']],
  [['region', 'create', '--size', '9007199254740992'], 2, 'INVALID_ARGUMENT', ['9007199254740991']],
] as const)('bedrock %j', async (args, status, code, parts) => {
  const ended = await runHere(args, { env: running.env });
  expect([ended.status, codeOf(ended)]).toEqual([status, code]);
  for (const part of parts) expect(ended.stderr).toContain(part);
  expect(ended.stderr).not.toContain('HEAD');
});
