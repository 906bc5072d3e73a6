/** Calls of several requests over HTTP: what a close that comes between two does, and what bounds them. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RegionId, connect, type RemoteTarget, type Service } from '../../core/index.js';
import { Gate } from '../fixtures/gate.js';
import { holdTimeouts } from '../fixtures/held-time.js';

const PROVIDERS = JSON.stringify({
  providers: [
    {
      name: 'store',
      type: 'warabi',
      provider_id: 1,
      tags: [],
      state: 'running',
      targets: [{ type: 'memory', state: 'open', capabilities: {} }],
    },
  ],
});
const ID = RegionId.of(1, 2, 3, 4);
const RANGES = [
  { offset: 0, size: 2 },
  { offset: 4, size: 2 },
];

/** What was asked about the region, in order. */
let asked: string[];
/** Before the answer to a request of this method. */
let shutFor: string;
const gate = new Gate();
let server: Server;
let service: Service;
let target: RemoteTarget;

async function answer(request: IncomingMessage): Promise<{ headers: Record<string, string>; body: string }> {
  const { method = '', url = '' } = request;
  for await (const piece of request) void piece;
  if (url === '/v1/config') return { headers: {}, body: '{}' };
  if (url === '/v1/providers') return { headers: {}, body: PROVIDERS };
  asked.push(method);
  if (method === shutFor) await gate.pass();
  if (method === 'HEAD') return { headers: { 'content-length': '8', 'region-created-at': '5' }, body: '' };
  return { headers: {}, body: method === 'GET' ? 'ab' : '' };
}

beforeEach(async () => {
  asked = [];
  shutFor = '';
  server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    void answer(request).then(({ headers, body }) => {
      response.writeHead(200, { 'content-length': String(body.length), ...headers }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  service = await connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  target = service.target('store');
});
afterEach(async () => {
  jest.restoreAllMocks();
  gate.open();
  await service.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const CALLS = [
  {
    name: 'writev',
    call: (bounds = {}) => target.writev(ID, RANGES, Buffer.from('abab'), { persist: true }, bounds),
    requests: ['HEAD', 'PUT', 'PUT', 'POST'],
  },
  {
    name: 'readv',
    call: (bounds = {}) => target.readv(ID, RANGES, bounds),
    requests: ['HEAD', 'GET', 'GET'],
  },
];

describe.each(CALLS)('$name', ({ call, requests }) => {
  it.each([
    ['the target', () => target.close()],
    ['the service', () => service.close()],
  ])('is done to its end when %s is closed between two of its requests', async (_who, close) => {
    gate.shut();
    shutFor = 'HEAD';
    const done = call();
    await gate.arrivals(1);
    const closed = close();
    await expect(target.stat(ID)).rejects.toHaveProperty('code');
    gate.open();
    await done;
    await closed;
    expect(asked).toEqual(requests);
  });

  it('has one time-out for all of its requests', async () => {
    const shut = requests[1] as string;
    gate.shut();
    shutFor = shut;
    const timeouts = holdTimeouts();
    const failed = expect(call({ timeoutMs: 60_000 })).rejects.toMatchObject({ code: 'TIMEOUT' });
    await gate.arrivals(1);
    timeouts.expire();
    await failed;
    expect(timeouts.asked).toEqual([60_000]);
    expect(asked).toEqual(requests.slice(0, 2));
  });
});

it('a large read takes its size from the head of its one request', async () => {
  const size = 2 ** 28 + 1;
  await expect(target.read(ID, 0, size)).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
  expect(asked).toEqual(['GET']);
});
