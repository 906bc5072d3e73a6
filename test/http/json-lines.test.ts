/** Every answer in JSON is one line with its end, so that the prompt of a shell stands below it, and is as long as it says. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import { RawConnection } from './raw-connection.js';
import { type Answer, memoryStore, RunningDaemon } from './running-daemon.js';

const NOTES = path.resolve(import.meta.dirname, '../fixtures/notes-library.ts');

let daemon: RunningDaemon;
let region: string;
beforeAll(async () => {
  daemon = new RunningDaemon(
    await bootstrap(
      { libraries: [NOTES], providers: [memoryStore('store', 42), { name: 'notes', type: 'notes' }] },
      { address: 'http://127.0.0.1:0', logLevel: 'off' },
    ),
  );
  region = await daemon.regionOf(Buffer.from('contents'));
});
afterAll(() => daemon.close());

function expectLine(answer: Answer): void {
  const text = answer.bytes.toString();
  expect(text).toMatch(/^[^\n]+\n$/);
  expect(answer.headers['content-type']).toMatch(/^application\/(problem\+)?json\b/);
  expect(answer.headers['content-length']).toBe(String(answer.bytes.length));
  expect(JSON.stringify(JSON.parse(text))).toBe(text.trimEnd());
}

describe('an answer in JSON is a line with its end:', () => {
  it.each([
    ['GET', '/healthz'],
    ['GET', '/readyz'],
    ['GET', '/openapi.json'],
    ['GET', '/v1/config'],
    ['GET', '/v1/providers'],
    ['GET', '/v1/providers/store/stats'],
    ['GET', '/v1/providers/store/regions'],
    ['POST', '/v1/providers/store/regions?size=5'],
    ['GET', '/v1/providers/notes/notes'],
    ['GET', '/v1/providers/notes/notes/last'],
  ])('%s %s', async (method, at) => {
    const answer = await daemon.call(method, at);
    expect(answer.status).toBeLessThan(300);
    expectLine(answer);
    if (method === 'GET')
      expect((await daemon.call('HEAD', at)).headers['content-length']).toBe(
        answer.headers['content-length'],
      );
  });

  it.each([
    ['GET', '/nosuch'],
    ['PATCH', '/healthz'],
    ['GET', '/v1/config?nosuch=1'],
    ['GET', '/v1/providers/none/stats'],
    ['GET', `/v1/providers/store/regions/${'0'.repeat(32)}`],
    ['POST', '/v1/providers/store/snapshot'],
    ['GET', '/v1/providers/notes/notes/none'],
    ['GET', '/v1/providers/notes/broken'],
  ])('the refusal of %s %s', async (method, at) => {
    const answer = await daemon.call(method, at);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expectLine(answer);
  });

  it('the refusal of a small request', async () => {
    for (const [method, options] of [
      ['GET', { headers: { range: 'bytes=8-9' } }],
      ['PUT', { body: 'too long by far' }],
    ] as const) {
      const answer = await daemon.call(method, region, options);
      expect(answer.status).toBe(416);
      expectLine(answer);
    }
  });

  it('the answer to what is no request', async () => {
    const connection = await RawConnection.open(daemon.port);
    expectLine(await connection.send('no request at all\r\n\r\n').answer());
  });
});

it('adds nothing to the bytes of a region, nor to those of a provider', async () => {
  expect((await daemon.call('GET', region)).bytes.toString()).toBe('contents');
  expect((await daemon.call('GET', '/v1/providers/notes/scroll')).bytes.toString()).toBe('one two');
});
