import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from '../../core/index.js';
import { COMMANDS } from '../../core/resp/commands.js';
import { closeSecured, Secured, wordOf } from './secured-daemon.js';

let daemon: Secured;
let id: string;

beforeAll(async () => {
  daemon = await Secured.start();
  const writer = await daemon.client('writer');
  id = (await writer.call('BLOB.CREATE', 8)) as string;
  await writer.call('SET', 'app/1', 'mine');
  await writer.call('SET', 'secret', 'others');
});
afterAll(closeSecured);

describe('the Redis door', () => {
  it('carries out nothing without a token but what gives one', async () => {
    const client = await daemon.client();
    for (const { name, arity, scope } of COMMANDS) {
      if (scope === 'public') continue;
      const args = Array.from({ length: arity[0] - 1 }, () => 'x');
      expect([name, wordOf(await client.call(name, ...args))]).toEqual([name, 'NOAUTH']);
    }
    expect(wordOf(await client.call('NOTHING'))).toBe('NOAUTH');
    expect(wordOf(await client.call('HELLO', 3))).toBe('NOAUTH');
    expect(COMMANDS.filter(({ scope }) => scope === 'public').map(({ name }) => name)).toEqual([
      'hello',
      'auth',
      'reset',
      'quit',
    ]);
  });

  it('carries out no command for a reader that takes another scope', async () => {
    const client = await daemon.client('reader');
    const others = COMMANDS.filter(({ scope }) => scope === 'write' || scope === 'admin');
    for (const { name, arity } of others) {
      const args = Array.from({ length: arity[0] - 1 }, () => 'secret');
      expect([name, wordOf(await client.call(name, ...args))]).toEqual([name, 'NOPERM']);
    }
    expect(others.length).toBeGreaterThan(40);
  });

  it('knows a token in each way that clients send it', async () => {
    const token = daemon.tokens.reader ?? '';
    const secret = token.slice('bedrock_reader_'.length);
    for (const credentials of [[token], ['reader', token], ['reader', secret], ['default', token]]) {
      const client = await daemon.client();
      expect(await client.call('AUTH', ...credentials)).toBe('OK');
      expect(await client.call('GET', 'secret')).toBe('others');
    }
    const client = await daemon.client();
    expect(await client.call('HELLO', 3, 'AUTH', 'reader', secret, 'SETNAME', 'me')).toBeInstanceOf(Map);
    expect(await client.call('CLIENT', 'GETNAME')).toBe('me');
    for (const credentials of [['x'], ['writer', token], ['reader', 'x'], ['default', secret]])
      expect(wordOf(await client.call('AUTH', ...credentials))).toBe('WRONGPASS');
    expect(await client.call('GET', 'secret')).toBe('others');
  });

  it('takes no long request before AUTH', async () => {
    const long = await daemon.client();
    long.send('SET', 'a', Buffer.alloc(2 ** 20));
    expect(wordOf(await long.reply())).toBe('ERR');
    await long.ended();
    const many = await daemon.client();
    many.socket.write(`*1000\r\n${`$100\r\n${'a'.repeat(100)}\r\n`.repeat(400)}`);
    expect(wordOf(await many.reply())).toBe('ERR');
    await many.ended();
  });

  it('lets a reader read, and change nothing', async () => {
    const client = await daemon.client('reader');
    expect(await client.call('MGET', 'app/1', 'secret')).toEqual(['mine', 'others']);
    expect(await client.call('PING')).toBe('PONG');
    for (const { name, arity, scope } of COMMANDS) {
      if (scope !== 'write' && scope !== 'admin') continue;
      const args = Array.from({ length: arity[0] - 1 }, () => 'x');
      expect([name, wordOf(await client.call(name, ...args))]).toEqual([name, 'NOPERM']);
    }
    expect(wordOf(await client.call('CLIENT', 'LIST'))).toBe('NOPERM');
    const plan = '{"address":"http://x","provider":"y"}';
    expect(wordOf(await client.call('BEDROCK.REQUEST', 'store', 'POST', '/migration/plan', plan))).toBe(
      'NOPERM',
    );
  });

  it('writes no long argument for one who may not', async () => {
    const client = await daemon.client('reader');
    expect(wordOf(await client.call('BLOB.WRITE', id, 0, Buffer.alloc(100_000)))).toBe('NOPERM');
    expect(await client.call('PING')).toBe('PONG');
  });

  it('keeps the owner of another provider out, whatever names it', async () => {
    const client = await daemon.client('other');
    for (const request of [
      ['GET', 'secret'],
      ['GET', 'store/secret'],
      ['BLOB.READ', `store.0/${id}`, '0', '1'],
      ['BLOB.READ', `1/${id}`, '0', '1'],
      ['MGET', 'other/x', 'store/secret'],
      ['EXISTS', 'other/x', 'store/secret'],
      ['BLOB.STATS', 'AT', 'store'],
      ['BLOB.LIST', 'AT', 'store'],
      ['BLOB.NAMES', 'AT', 'store'],
      ['BLOB.CREATE', '1', 'AT', 'store'],
      ['BLOB.UPLOAD', '1', 'AT', 'store'],
      ['BLOB.TRANSACT', 'ERASE', 'store/secret'],
      ['WATCH', 'store/secret'],
      ['DBSIZE'],
      ['SCAN', '0'],
      ['RANDOMKEY'],
      ['BEDROCK.CONFIG'],
      ['BEDROCK.SNAPSHOT', 'store', '{"path":"x"}'],
      ['BEDROCK.REQUEST', 'store', 'GET', '/x'],
    ])
      expect([...request, wordOf(await client.call(...request))]).toEqual([...request, 'NOPERM']);
    expect(await client.call('SELECT', 'store')).toBe('OK');
    expect(wordOf(await client.call('GET', 'secret'))).toBe('NOPERM');
    expect(await client.call('SELECT', 'other')).toBe('OK');
    expect(await client.call('SET', 'a', 'b')).toBe('OK');
    expect(await client.call('GET', 'a')).toBe('b');
    expect(await client.call('BEDROCK.PROVIDERS')).not.toContain('"store"');
    expect(await client.call('INFO')).not.toContain('store:');
  });

  it('keeps the owner of a prefix below it', async () => {
    const client = await daemon.client('prefix');
    expect(await client.call('GET', 'app/1')).toBe('mine');
    expect(await client.call('MSET', 'app/2', 'x', 'app/3', 'y')).toBe('OK');
    expect(
      await client.call('BLOB.TRANSACT', 'PUT', 'app/4', 'z', 'RENAME', 'app/4', 'app/5'),
    ).toBeInstanceOf(Array);
    expect(await client.call('SCAN', 0)).toEqual(['0', ['app/1', 'app/2', 'app/3', 'app/5']]);
    expect(await client.call('KEYS', '*3')).toEqual(['app/3']);
    expect(await client.call('KEYS', 'a*')).toHaveLength(4);
    for (const request of [
      ['GET', 'secret'],
      ['GET', 'app'],
      ['GET', id],
      ['SET', 'secret', 'x'],
      ['MGET', 'app/1', 'secret'],
      ['MSET', 'app/1', 'x', 'secret', 'x'],
      ['RENAME', 'app/1', 'secret'],
      ['COPY', 'secret', 'app/9'],
      ['COPY', 'app/1', 'secret'],
      ['BLOB.RENAME', 'app/1', 'secret'],
      ['BLOB.RENAME', id, 'app/9'],
      ['BLOB.CREATE', '1'],
      ['BLOB.CREATE', '1', 'NAME', 'secret'],
      ['BLOB.UPLOAD', '1'],
      ['BLOB.UPLOAD', '1', 'PUT', 'secret'],
      ['BLOB.NAMES', 'PREFIX', 's'],
      ['BLOB.TRANSACT', 'PUT', 'app/1', 'x', 'ERASE', 'secret'],
      ['BLOB.TRANSACT', 'EXPECT', 'secret', ''],
      ['BLOB.TRANSACT', 'RENAME', 'app/1', 'secret'],
      ['BLOB.LIST'],
      ['DBSIZE'],
      ['RANDOMKEY'],
      ['KEYS', 's*'],
      ['BLOB.STATS'],
    ])
      expect([...request, wordOf(await client.call(...request))]).toEqual([...request, 'NOPERM']);
    expect(await client.call('GET', 'app/1')).toBe('mine');
  });

  it('looks at each command of a transaction', async () => {
    const client = await daemon.client('prefix');
    expect(await client.call('MULTI')).toBe('OK');
    expect(await client.call('SET', 'app/6', 'x')).toBe('QUEUED');
    expect(wordOf(await client.call('SET', 'secret', 'x'))).toBe('NOPERM');
    expect(wordOf(await client.call('EXEC'))).toBe('EXECABORT');
    expect(await client.call('GET', 'app/6')).toBeNull();
    const reader = await daemon.client('reader');
    await reader.call('MULTI');
    expect(wordOf(await reader.call('SET', 'a', 'x'))).toBe('NOPERM');
    expect(wordOf(await reader.call('AUTH', daemon.tokens.writer ?? ''))).toBe('NOT_SUPPORTED');
    expect(wordOf(await reader.call('EXEC'))).toBe('EXECABORT');
  });

  it('forgets who it was at RESET, and what that one had begun', async () => {
    const client = await daemon.client('writer');
    const upload = (await client.call('BLOB.UPLOAD', 2)) as number;
    await client.call('MULTI');
    expect(await client.call('RESET')).toBe('RESET');
    expect(wordOf(await client.call('GET', 'secret'))).toBe('NOAUTH');
    expect(wordOf(await client.call('EXEC'))).toBe('NOAUTH');
    await client.call('AUTH', daemon.tokens.reader ?? '');
    expect(wordOf(await client.call('BLOB.UPLOAD.PART', upload, 'ab'))).not.toBe('OK');
    expect(await client.call('GET', 'secret')).toBe('others');
    // What is sent at once is that of nobody as well.
    client.send('RESET');
    client.send('SET', 'secret', 'x');
    expect(await client.reply()).toBe('RESET');
    expect(wordOf(await client.reply())).toBe('NOAUTH');
  });

  it('knows nobody any more whose token was revoked while connected', async () => {
    const own = await Secured.start();
    const client = await own.client('writer');
    const upload = (await client.call('BLOB.UPLOAD', 2)) as number;
    await client.call('MULTI');
    expect(await client.call('SET', 'a', 'x')).toBe('QUEUED');
    await own.revoke('writer');
    expect(wordOf(await client.call('EXEC'))).toBe('NOAUTH');
    expect(wordOf(await client.call('BLOB.UPLOAD.END', upload))).toBe('NOAUTH');
    expect(wordOf(await client.call('AUTH', own.tokens.writer ?? ''))).toBe('WRONGPASS');
    const admin = await own.client('admin');
    expect(await admin.call('GET', 'a')).toBeNull();
  });

  it('serves its client, and tells it in its own words', async () => {
    await expect(connect(daemon.respUrl)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const service = await connect(daemon.respUrl, { token: daemon.tokens.prefix ?? '' });
    const target = service.target('store');
    await target.put('app/7', Buffer.from('seven'));
    expect(Buffer.from(await target.read('app/7', 0, 5)).toString()).toBe('seven');
    expect((await target.names()).names.map(({ name }) => name)).toContain('app/7');
    await expect(target.find('secret')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(target.create(1)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(service.shutdown()).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await service.close();
  });
});
