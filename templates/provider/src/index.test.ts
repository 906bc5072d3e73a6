/** The provider in a daemon of its own. `npm test` runs it with Node's own test runner. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { bootstrap } from 'bedrock-node';
import { HEARTBEAT_BYTES } from './sample-provider.js';

const libraries = [fileURLToPath(new URL('./index.js', import.meta.url))];

const configOf = (interval_ms: number) => ({
  libraries,
  providers: [
    { name: 'store', type: 'warabi', config: { target: { type: 'memory' } } },
    { name: 'heartbeat', type: 'sample', dependencies: { store: 'store' }, config: { interval_ms } },
  ],
});

it('beats while the daemon runs', async () => {
  const daemon = await bootstrap(configOf(1), { listen: false, logLevel: 'warning' });
  try {
    const store = daemon.target('store');
    const [region] = (await store.list()).regions;
    assert.ok(region);
    const count = async () => Buffer.from(await store.read(region.id, 0, HEARTBEAT_BYTES)).readBigUInt64LE(8);
    while ((await count()) < 3n) await delay(5);
  } finally {
    await daemon.close();
  }
  assert.equal(await daemon.closed, true, 'it stopped cleanly');
});

it('takes other settings while it runs, and counts its heartbeats', async () => {
  const daemon = await bootstrap(configOf(3_600_000), { address: 'http://127.0.0.1:0', logLevel: 'warning' });
  try {
    const put = (settings: object) =>
      fetch(`${daemon.address}/v1/providers/heartbeat/settings`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(settings),
      });
    assert.equal((await put({ interval_ms: 0 })).status, 400);
    assert.equal((await put({ interval_ms: 1 })).status, 200);
    assert.deepEqual(daemon.config.providers?.[1]?.config, { interval_ms: 1 });
    const written = /^sample_heartbeats_total\{(?=.*provider="heartbeat")(?=.*outcome="written").*\} [1-9]/m;
    const metrics = async () => (await fetch(`${daemon.address}/metrics`)).text();
    while (!written.test(await metrics())) await delay(5);
  } finally {
    await daemon.close();
  }
});

it('needs a store', async () => {
  await assert.rejects(
    bootstrap({ libraries, providers: [{ type: 'sample' }] }, { listen: false, logLevel: 'off' }),
    {
      code: 'DEPENDENCY_UNRESOLVED',
    },
  );
});
