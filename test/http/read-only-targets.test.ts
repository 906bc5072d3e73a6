/** A target that turns read-only while the daemon runs: where operators see it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect } from '@jest/globals';
import { nativeAddon } from '../fixtures/needs.js';
import { closeDaemons, expectProblem, runDaemon } from './running-daemon.js';

let folder = '';

afterEach(async () => {
  await closeDaemons();
  await rm(folder, { recursive: true, force: true });
});

nativeAddon.it('shows in /readyz, in the metrics and among the providers', async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'read-only-'));
  const file = path.join(folder, 'a.pool');
  const target = { type: 'file', config: { path: file, create_if_missing_with_size: 2 ** 23 } };
  const daemon = await runDaemon({
    providers: [{ name: 'disk', type: 'warabi', provider_id: 1, config: { target } }],
  });
  const metrics = async (): Promise<string> => (await daemon.call('GET', '/metrics')).bytes.toString();
  const before = await metrics();
  expect(before).toContain('bedrock_target_read_only{provider="disk",target="0"} 0');
  expect(before).toMatch(/^bedrock_build_info\{version="[^"]+",node_version="v[^"]+"\} 1$/m);
  for (const code of ['OUT_OF_SPACE', 'READ_ONLY', 'INTERNAL', 'OVERLOADED'])
    expect(before).toContain(`operation="create",code="${code}"} 0`);
  for (const name of ['quarantined_regions', 'pending_bytes', 'failed_give_backs'])
    expect(before).toContain(`bedrock_${name}{provider="disk",target="0"} 0`);
  expect((await daemon.call('GET', '/readyz')).status).toBe(200);

  await rm(file);
  for (let status = 201; status === 201;)
    ({ status } = await daemon.call('POST', '/v1/providers/disk/regions?size=100'));

  const ready = await daemon.call('GET', '/readyz');
  expectProblem(ready, 503, 'NOT_READY');
  const reason = expect.stringContaining(file) as unknown;
  expect(ready.json()).toMatchObject({ details: { readOnly: [{ provider: 'disk', target: 0, reason }] } });
  expect((await daemon.call('GET', '/readyz?exclude=read_only')).status).toBe(200);
  expect((await daemon.call('GET', '/readyz?exclude=other')).status).toBe(400);
  expect(await metrics()).toContain('bedrock_target_read_only{provider="disk",target="0"} 1');
  expect((await daemon.call('GET', '/v1/providers')).json()).toMatchObject({
    providers: [{ name: 'disk', targets: [{ readOnly: reason }] }],
  });
});
