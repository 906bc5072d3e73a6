/** What /readyz says of providers that are not there: optional ones that did not start, and those of daemons that are gone. */
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from '@jest/globals';
import { closeDaemons, eventually, expectProblem, memoryStore, runDaemon } from '../http/running-daemon.js';

const PROVIDERS = fileURLToPath(new URL('../fixtures/libraries/provider.mjs', import.meta.url));

afterEach(closeDaemons);

it('says which optional provider did not start, if that is asked', async () => {
  const daemon = await runDaemon({
    libraries: [PROVIDERS],
    providers: [
      memoryStore('store', 42),
      { type: 'recorder', name: 'extra', config: { fails: 'start' }, optional: true },
    ],
  });
  const ready = await daemon.call('GET', '/readyz?include=optional');
  expectProblem(ready, 503, 'NOT_READY');
  const { details } = ready.json() as { details: unknown };
  expect(details).toEqual({ absent: [{ provider: 'extra', reason: expect.any(String) }] });
  expect((await daemon.call('GET', '/readyz?exclude=read_only&include=optional')).status).toBe(503);
  expect((await daemon.call('GET', '/readyz')).status).toBe(200);
  expectProblem(await daemon.call('GET', '/readyz?exclude=optional'), 400, 'INVALID_ARGUMENT');
  expect((await daemon.call('GET', '/healthz')).status).toBe(200);
});

it('says which provider of another daemon is gone, and is well again when it is back', async () => {
  const other = await runDaemon({ providers: [memoryStore('far', 1), memoryStore('near', 2)] });
  const reference = `far@${other.url}`;
  const daemon = await runDaemon({
    libraries: [PROVIDERS],
    providers: [{ type: 'recorder', name: 'needy', dependencies: { spare: reference } }],
  });
  const ready = async (): Promise<number> => (await daemon.call('GET', '/readyz')).status;
  const gone = async (): Promise<unknown> => (await daemon.call('GET', '/readyz')).json();
  const failed = [{ provider: 'needy', dependency: reference, reason: expect.any(String) }];
  expect(await ready()).toBe(200);
  await other.daemon.removeProvider('far');
  await eventually(ready, (status) => status === 503);
  expect(await gone()).toMatchObject({ details: { failed } });
  await other.daemon.addProvider({ type: 'warabi', name: 'far', config: { target: { type: 'memory' } } });
  await eventually(ready, (status) => status === 200);
  await other.daemon.close();
  await eventually(ready, (status) => status === 503);
  expect(await gone()).toMatchObject({ details: { failed } });
  expect((await daemon.call('GET', '/healthz')).status).toBe(200);
});
