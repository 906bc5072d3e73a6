/** Uploads and answers that hold the space of a target, and others that need it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it, jest } from '@jest/globals';
import { stopClock } from '../fixtures/held-time.js';
import { RawConnection, head } from './raw-connection.js';
import { closeDaemons, eventually, memoryStore, runDaemon } from './running-daemon.js';

const SIZE = 2 ** 20;

afterEach(async () => {
  jest.restoreAllMocks();
  await closeDaemons();
});

it.each([
  ['an empty region', {}],
  ['another upload', { body: Buffer.alloc(SIZE) }],
])('an upload that trickles gets 408 where its space is needed for %s', async (_title, sent) => {
  const daemon = await runDaemon({ providers: [memoryStore('store', 42, { max_bytes: SIZE })] });
  const clock = stopClock();
  const connection = await RawConnection.open(daemon.port);
  connection.send(head('POST /v1/providers/store/regions', `Content-Length: ${SIZE}`)).send(Buffer.alloc(10));
  await eventually(
    () => daemon.stats(),
    ({ usedBytes }) => usedBytes === SIZE,
  );
  expect((await daemon.call('POST', `/v1/providers/store/regions?size=${SIZE}`, sent)).status).toBe(507);
  await eventually(
    async () => {
      clock.pass(200);
      return (await daemon.call('POST', `/v1/providers/store/regions?size=${SIZE}`, sent)).status;
    },
    (status) => status === 201,
  );
  expect((await connection.answer()).status).toBe(408);
  connection.destroy();
  expect(await daemon.stats()).toMatchObject({ regions: 1, usedBytes: SIZE });
});

it('a client that stops reading a region whose name has another one loses the connection where the space is needed', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-http-'));
  // The buffers of a unix socket are small, so the answer is never all on its way.
  const socketPath = path.join(folder, 'socket');
  const large = 4 * SIZE;
  const daemon = await runDaemon({
    address: `unix:${socketPath}`,
    providers: [memoryStore('store', 42, { max_bytes: 2 * large })],
  });
  try {
    const clock = stopClock();
    const name = '/v1/providers/store/names/a';
    const put = async (): Promise<number> =>
      (await daemon.call('PUT', name, { body: Buffer.alloc(large) })).status;
    const create = async (): Promise<number> =>
      (await daemon.call('POST', `/v1/providers/store/regions?size=${large}`)).status;
    expect(await put()).toBe(201);
    const reader = await RawConnection.open({ path: socketPath });
    reader.socket.pause();
    reader.send(head(`GET ${name}`));
    await eventually(
      async () => (await daemon.call('GET', '/metrics')).bytes.toString(),
      (metrics) => /^bedrock_http_buffered_bytes [1-9]/m.test(metrics),
    );
    expect(await put()).toBe(204);
    expect(await daemon.stats()).toMatchObject({ regions: 1, usedBytes: 2 * large });
    expect(await create()).toBe(507);
    await eventually(
      () => {
        clock.pass(200);
        return create();
      },
      (status) => status === 201,
    );
    reader.socket.resume();
    await reader.closed();
    expect(await daemon.stats()).toMatchObject({ regions: 2, usedBytes: 2 * large });
  } finally {
    await daemon.close();
    await rm(folder, { recursive: true });
  }
});
