/** Requests of any method that there is: answered without a failure of the daemon. */
import { METHODS } from 'node:http';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { RawConnection } from './raw-connection.js';
import { closeDaemons, runDaemon, type RunningDaemon } from './running-daemon.js';

const { logger, entries } = recordingLogger();
let daemon: RunningDaemon;

beforeAll(async () => {
  daemon = await runDaemon({ logger });
});
afterAll(closeDaemons);

// A proxy's tunnel is none of a daemon's; node:http closes its connection.
it.each([...METHODS, 'PRI'].filter((method) => method !== 'CONNECT'))('%s', async (method) => {
  const id = '0'.repeat(32);
  for (const path of [
    '/healthz',
    '/',
    '*',
    '/v1/providers/store/regions',
    `/v1/providers/store/regions/${id}`,
  ])
    for (const version of [' HTTP/1.1', ' HTTP/1.0', '']) {
      const connection = await RawConnection.open(daemon.port);
      connection.send(`${method} ${path}${version}\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`);
      const { status } = await connection.answer(false);
      connection.destroy();
      expect([path, version, status < 500 || status === 501]).toEqual([path, version, true]);
    }
  expect(entries.filter(({ level }) => level === 'error')).toEqual([]);
});
