/** Starts that end before their time: by a signal, or because something does not come to an end. */
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { bootstrap, checkConfig } from '../../core/index.js';

const LIBRARY = fileURLToPath(new URL('../fixtures/libraries/never-loads.mjs', import.meta.url));
const store = { type: 'warabi', config: { target: { type: 'memory', config: {} } } };

test('refuses a library that does not finish loading with LIBRARY_LOAD_FAILED', async () => {
  const config = { libraries: [LIBRARY], bedrock: { start_timeout_ms: 50 } };
  await expect(checkConfig(config)).rejects.toMatchObject({ code: 'LIBRARY_LOAD_FAILED' });
});

test('ends a start between two providers with START_FAILED once the signal is given', async () => {
  const options = { listen: false, logLevel: 'off', signal: AbortSignal.abort() } as const;
  await expect(bootstrap({ providers: [store, store] }, options)).rejects.toMatchObject({
    code: 'START_FAILED',
  });
});
