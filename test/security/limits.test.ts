import { afterAll, describe, expect, it } from '@jest/globals';
import path from 'node:path';
import { BedrockError } from '../../core/base/errors.js';
import { addressOf, Limits } from '../../core/security/limits.js';
import { Rate, RateTable } from '../../core/security/rate-table.js';
import { RawConnection } from '../http/raw-connection.js';
import { RawClient } from '../resp/raw-client.js';
import { closeSecured, Secured, wordOf } from './secured-daemon.js';

const NONE = {
  connections_per_address: 0,
  requests_per_second: 0,
  bytes_per_second: 0,
  failed_auth_per_minute: 0,
};

afterAll(closeSecured);

function limited(limits: Partial<typeof NONE>): Promise<Secured> {
  return Secured.start({
    bedrock: { limits, resp: { address: '127.0.0.1:0', unix: 'resp.sock' } },
  });
}

function overUnix(daemon: Secured): Promise<RawClient> {
  return RawClient.connect({ path: path.join(daemon.folder, 'resp.sock') });
}

async function metric(daemon: Secured, limit: string): Promise<number> {
  const registry = await daemon.fetch('admin', 'GET', '/metrics');
  const found = new RegExp(`^bedrock_limits_refused_total{limit="${limit}"} (\\d+)$`, 'm');
  return Number(found.exec(await registry.text())?.[1]);
}

describe('connections of an address', () => {
  it('are limited over both doors together, and not on a unix socket', async () => {
    const daemon = await limited({ connections_per_address: 3 });
    const first = await daemon.client('admin');
    const second = await daemon.client('reader');
    const port = Number(new URL(daemon.url).port);
    const third = await RawConnection.open(port);
    // Answered: now the daemon has counted it.
    third.send('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await third.answer();
    const fourth = await daemon.client();
    expect(wordOf(await fourth.reply())).toBe('RATE_LIMITED');
    await fourth.ended();
    const fifth = await RawConnection.open(port);
    const refusal = await fifth.answer();
    const { status, headers } = refusal;
    expect([status, headers['retry-after'], headers.connection]).toEqual([429, '1', 'close']);
    expect(refusal.json()).toMatchObject({
      code: 'RATE_LIMITED',
      details: { limit: 'connections' },
    });
    fifth.destroy();
    const local = await Promise.all(Array.from({ length: 8 }, () => overUnix(daemon)));
    for (const client of local) {
      expect(await client.call('AUTH', daemon.tokens.reader ?? '')).toBe('OK');
      client.close();
    }
    expect(await first.call('PING')).toBe('PONG');
    // A place is free as soon as the daemon has seen the end of a connection.
    second.close();
    third.socket.destroy();
    for (;;) {
      const again = await daemon.client();
      const reply = wordOf(await again.call('AUTH', daemon.tokens.reader ?? '').catch(() => 'RATE_LIMITED'));
      again.close();
      if (reply === 'OK') break;
      expect(reply).toBe('RATE_LIMITED');
    }
    first.close();
  });
});

describe('requests a second', () => {
  it('are counted by token over both doors, and by address without one', async () => {
    const daemon = await limited({ requests_per_second: 1 });
    const client = await daemon.client();
    // One write, so that they come together: the first three of them by address, the others by token.
    const token = daemon.tokens.reader ?? '';
    for (const words of [['RESET'], ['GET', 'x'], ['AUTH', token]]) client.send(...words);
    expect(await client.reply()).toBe('RESET');
    expect(wordOf(await client.reply())).toBe('RATE_LIMITED');
    expect(wordOf(await client.reply())).toBe('RATE_LIMITED');
    const local = await overUnix(daemon);
    expect(await local.call('AUTH', token)).toBe('OK');
    for (let count = 0; count < 3; count++) local.send('PING');
    expect([await local.reply(), wordOf(await local.reply())]).toEqual(['PONG', 'RATE_LIMITED']);
    local.close();
    const both = await Promise.all(
      Array.from({ length: 10 }, () => daemon.fetch('writer', 'GET', '/v1/providers')),
    );
    const refused = both.find(({ status }) => status === 429);
    expect(both.some(({ status }) => status === 200)).toBe(true);
    expect(refused?.headers.get('retry-after')).toBe('1');
    expect(refused?.headers.get('error-code')).toBe('RATE_LIMITED');
    expect(await refused?.json()).toMatchObject({ status: 429, details: { limit: 'requests' } });
    // Nobody else pays for them.
    expect(await metric(daemon, 'requests')).toBeGreaterThan(3);
  });

  it('are refused before a byte of them lands', async () => {
    const daemon = await limited({ requests_per_second: 1 });
    const target = daemon.daemon.target('store');
    const id = await target.create(200_000);
    await target.write(id, 0, Buffer.alloc(200_000, 'a'));
    const client = await overUnix(daemon);
    await client.call('AUTH', daemon.tokens.writer ?? '');
    client.send('PING');
    client.send('SETRANGE', id.toString(), 0, Buffer.alloc(200_000, 'b'));
    expect(await client.reply()).toBe('PONG');
    expect(wordOf(await client.reply())).toBe('RATE_LIMITED');
    const bodies = await Promise.all(
      ['c', 'd', 'e'].map((letter) =>
        daemon.asked('admin', 'PUT', `/v1/providers/store/regions/${id.toString()}`, letter.repeat(200_000)),
      ),
    );
    expect(bodies).toContain('429 RATE_LIMITED');
    const left = new Set(await target.read(id, 0, 200_000));
    expect(left.size).toBe(1);
    expect(left).not.toContain('b'.charCodeAt(0));
    client.close();
  });
});

describe('bytes a second', () => {
  it('let a large transfer through, and hold up what follows', async () => {
    const daemon = await limited({ bytes_per_second: 1000 });
    const name = '/v1/providers/store/names/large';
    expect(await daemon.asked('writer', 'PUT', name, 'x'.repeat(500_000))).toBe('201');
    const held = await daemon.fetch('writer', 'GET', name);
    expect(held.status).toBe(429);
    expect(Number(held.headers.get('retry-after'))).toBeGreaterThan(100);
    await held.arrayBuffer();
    const client = await daemon.client('reader');
    expect((await client.call('GET', 'large')) as string).toHaveLength(500_000);
    expect(wordOf(await client.call('GET', 'large'))).toBe('RATE_LIMITED');
    expect(await metric(daemon, 'bytes')).toBe(2);
  });
});

describe('failed attempts to say who one is', () => {
  it('are limited for an address, over both doors, but not where it is known who it is', async () => {
    const daemon = await limited({ failed_auth_per_minute: 4 });
    const known = await daemon.client('reader');
    const guessing = await daemon.client();
    for (let count = 0; count < 2; count++)
      expect(wordOf(await guessing.call('AUTH', 'reader', 'x'))).toBe('WRONGPASS');
    const wrong = { headers: { authorization: 'Bearer x' } };
    for (let count = 0; count < 2; count++)
      expect((await daemon.fetch(undefined, 'GET', '/v1/config', wrong)).status).toBe(401);
    const valid = daemon.tokens.reader ?? '';
    expect(wordOf(await guessing.call('AUTH', valid))).toBe('RATE_LIMITED');
    expect(wordOf(await guessing.call('HELLO', 3, 'AUTH', 'reader', valid))).toBe('RATE_LIMITED');
    expect(await daemon.asked('reader', 'GET', '/v1/providers')).toBe('429 RATE_LIMITED');
    expect(await daemon.asked(undefined, 'GET', '/healthz')).toBe('200');
    expect(await known.call('PING')).toBe('PONG');
    const local = await overUnix(daemon);
    expect(wordOf(await local.call('AUTH', 'reader', 'x'))).toBe('WRONGPASS');
    expect(await local.call('AUTH', valid)).toBe('OK');
    local.close();
  });
});

describe('the counts', () => {
  let now = 0;
  const limits = (settings: Partial<typeof NONE>): Limits => new Limits({ ...NONE, ...settings }, () => now);

  it('fill again with time, up to one second', () => {
    now = 0;
    const two = limits({ requests_per_second: 2 });
    const taken = (): boolean[] => [1, 2, 3].map(() => two.admit('a') === undefined);
    expect(taken()).toEqual([true, true, false]);
    now = 500;
    expect(taken()).toEqual([true, false, false]);
    now = 1e9;
    expect(taken()).toEqual([true, true, false]);
    expect(two.admit('a')).toMatchObject({ code: 'RATE_LIMITED', details: { retryAfterSeconds: 1 } });
    expect(two.admit('b')).toBeUndefined();
    expect(two.admit(undefined)).toBeUndefined();
  });

  it('neither fill nor stand still when a clock goes back', () => {
    now = 1e6;
    const one = limits({ requests_per_second: 1 });
    expect(one.admit('a')).toBeUndefined();
    now = 0;
    expect(one.admit('a')).toBeInstanceOf(BedrockError);
    now = 1000;
    expect(one.admit('a')).toBeUndefined();
  });

  it('keep a bounded number of clients, and those that go on among them', () => {
    let time = 0;
    const table = new RateTable(new Rate(0.001, 1), () => time++ / 1e6, 100);
    expect(table.take('me')).toBe(0);
    let [largest, least] = [0, Infinity];
    for (let other = 0; other < 10_000; other++) {
      table.take(`other ${other}`);
      if (other % 50 === 0) least = Math.min(least, table.take('me'));
      largest = Math.max(largest, table.size);
    }
    expect(least).toBeGreaterThan(0);
    expect(largest).toBeLessThanOrEqual(200);
    const all = limits({ requests_per_second: 1, bytes_per_second: 1, failed_auth_per_minute: 1 });
    for (let other = 0; other < 100_000; other++) all.admit(`other ${other}`);
    expect(all.tracked).toBeLessThanOrEqual(4 * 16_384);
  });

  it('forget an address with its last connection', () => {
    const some = limits({ connections_per_address: 2 });
    const from = (remoteAddress: string) => some.connect({ remoteAddress });
    const first = from('fd00::1');
    expect(from('fd00::2')).toBeInstanceOf(Function);
    expect(from('fd00::3')).toBeInstanceOf(BedrockError);
    expect(from('fd00:0:0:1::3')).toBeInstanceOf(Function);
    expect(some.tracked).toBe(2);
    if (typeof first === 'function') first();
    expect(from('fd00::3')).toBeInstanceOf(Function);
    expect(some.refused).toMatchObject({ connections: 1 });
  });

  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff::', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::10.0.0.1', '64:ff9b:0:0::/64'],
    ['::2:3:4:5:6:7:8', '0:2:3:4::/64'],
    ['', undefined],
    [undefined, undefined],
  ])('take %s as %s', (remoteAddress, expected) => {
    expect(addressOf({ remoteAddress })).toBe(expected);
  });
});
