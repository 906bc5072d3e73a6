/** What bodies in JSON can ask of the daemon's memory and stack, and of the work it does for one request. */
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { BedrockError } from '../../core/base/errors.js';
import { GatheredBody, SMALL_BODY_BYTES } from '../../core/http/gathered-body.js';
import { ByteBudget } from '../../core/net/byte-budget.js';
import { stopClock } from '../fixtures/held-time.js';
import { head, RawConnection } from './raw-connection.js';
import { closeDaemons, eventually, expectProblem, runDaemon, type RunningDaemon } from './running-daemon.js';

const headers = { 'content-type': 'application/json' };

let daemon: RunningDaemon;
let persist: string;

beforeAll(async () => {
  daemon = await runDaemon();
  persist = `${await daemon.regionOf(Buffer.from('abcdefghij'))}/persist`;
});
afterAll(closeDaemons);

describe('a body in JSON', () => {
  it.each([
    ['[', ']', 257],
    ['[', ']', 500_000],
    ['{"ranges":', '}', 50_000],
  ])('that is nested too deep gets INVALID_ARGUMENT (400): %s', async (open, close, depth) => {
    const body = `${open.repeat(depth)}[]${close.repeat(depth)}`;
    expectProblem(await daemon.call('POST', persist, { headers, body }), 400, 'INVALID_ARGUMENT');
  });

  it('may have brackets without end in its strings', async () => {
    const body = JSON.stringify({ ranges: [], [`"\\${'['.repeat(1000)}`]: 1 });
    const answer = await daemon.call('POST', persist, { headers, body });
    expect((answer.json() as { detail: string }).detail).not.toMatch(/nested/);
  });

  it('may name one range tens of thousands of times', async () => {
    const body = JSON.stringify({ ranges: Array(30_000).fill({ offset: 0, size: 10 }) });
    expect((await daemon.call('POST', persist, { headers, body })).status).toBe(204);
  });

  it('may come in chunks of a byte', async () => {
    const connection = await RawConnection.open(daemon.port);
    const chunks = '{"ranges":[{"offset":0,"size":10}]}'.split('').map((byte) => `1\r\n${byte}\r\n`);
    connection.send(
      head(`POST ${persist}`, 'Content-Type: application/json', 'Transfer-Encoding: chunked') +
        `${chunks.join('')}0\r\n\r\n`,
    );
    expect((await connection.answer()).status).toBe(204);
    connection.destroy();
  });
});

describe('the memory for bodies on their way', () => {
  const LIMIT = 32 * 1024;
  let now = 0;
  const made = (budget: ByteBudget): { body: GatheredBody; request: PassThrough } => {
    const request = new PassThrough();
    return { body: new GatheredBody(budget, request as unknown as IncomingMessage), request };
  };

  it('is not more than twice what has come, and comes back', () => {
    const budget = new ByteBudget(LIMIT, () => now);
    const { body } = made(budget);
    for (let count = 0; count < 10_000; count++) body.add(Buffer.from('x'));
    expect(budget.total).toBeLessThanOrEqual(20_000);
    expect(body.text()).toBe('x'.repeat(10_000));
    body.release();
    expect(budget.total).toBe(0);
  });

  it('is refused to a large body when it is taken, never to a small one', () => {
    const budget = new ByteBudget(LIMIT, () => now);
    made(budget).body.add(Buffer.alloc(LIMIT));
    made(budget).body.add(Buffer.alloc(SMALL_BODY_BYTES));
    expect(() => made(budget).body.add(Buffer.alloc(SMALL_BODY_BYTES + 1))).toThrow(BedrockError);
  });

  it('is taken from one that does not move', () => {
    const budget = new ByteBudget(LIMIT, () => now);
    const slow = made(budget);
    slow.body.add(Buffer.alloc(LIMIT));
    now += 2000;
    made(budget).body.add(Buffer.alloc(LIMIT));
    expect(slow.request.destroyed).toBe(true);
    expect(() => slow.body.add(Buffer.from('x'))).toThrow();
    expect(() => slow.body.text()).toThrow();
    expect(budget.total).toBe(LIMIT);
    expect(budget.evicted).toBe(1);
  });

  it('is taken from a slow client of a daemon, which counts that', async () => {
    const MIB = 2 ** 20;
    const small = await runDaemon({ http: { max_json_body_bytes: 16 * MIB } });
    const evicted = async (): Promise<string | undefined> =>
      /^bedrock_http_bodies_evicted_total (\d+)$/m.exec(
        (await small.call('GET', '/metrics')).bytes.toString(),
      )?.[1];
    expect(await evicted()).toBe('0');
    const place = await small.regionOf(Buffer.alloc(10));
    const upload = head(
      `POST ${place}/persist`,
      'Content-Type: application/json',
      `Content-Length: ${16 * MIB}`,
    );
    const clock = stopClock();
    const slow: RawConnection[] = [];
    // Four times 16 MiB are all that there is. How much one takes depends on the pieces that it comes in, so more come until it is used up.
    await eventually(
      async () => {
        const connection = await RawConnection.open(small.port);
        slow.push(connection.send(upload).send(Buffer.alloc(15 * MIB, ' ')));
        // Once to find out who has moved, and once more to find that they have not moved since.
        for (let look = 0; look < 2; look++) {
          clock.pass(2000);
          await small.call('POST', `${place}/persist`, { headers, body: `{}${' '.repeat(MIB)}` });
        }
        return evicted();
      },
      (count) => Number(count) > 0,
    );
    for (const connection of slow) connection.destroy();
    jest.restoreAllMocks();
  });
});
