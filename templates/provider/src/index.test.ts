/** The provider in a daemon of its own. `npm test` runs it with Node's own test runner. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { bootstrap } from 'bedrock-node';
import { HEARTBEAT_BYTES } from './sample-provider.js';

it('beats while the daemon runs', async () => {
  const config = {
    libraries: [new URL('./index.js', import.meta.url).pathname],
    providers: [
      { name: 'store', type: 'warabi', config: { target: { type: 'memory' } } },
      { name: 'heartbeat', type: 'sample', dependencies: { store: 'store' }, config: { interval_ms: 1 } },
    ],
  };
  const daemon = await bootstrap(config, { listen: false, logLevel: 'warning' });
  try {
    const store = daemon.target('store');
    const [region] = (await store.list()).regions;
    assert.ok(region);
    const count = async () => Buffer.from(await store.read(region.id, 0, HEARTBEAT_BYTES)).readBigUInt64LE(8);
    const deadline = Date.now() + 5000;
    while ((await count()) < 3n && Date.now() < deadline) await delay(5);
    assert.ok((await count()) >= 3n);
  } finally {
    await daemon.close();
  }
  assert.equal(await daemon.closed, true, 'it stopped cleanly');
});

it('needs a store', async () => {
  const config = {
    libraries: [new URL('./index.js', import.meta.url).pathname],
    providers: [{ type: 'sample' }],
  };
  await assert.rejects(bootstrap(config, { listen: false, logLevel: 'off' }), {
    code: 'DEPENDENCY_UNRESOLVED',
  });
});
