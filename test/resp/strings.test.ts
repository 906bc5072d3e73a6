/** Names as keys: what `differential.test.ts` cannot compare with Redis, as it has no regions, no other doors and no crashes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Target } from '../../core/index.js';
import { nativeAddon, needs } from '../fixtures/needs.js';
import { codeOf, encode, type RawClient, type Value } from './raw-client.js';
import { closeDoors, RunningDoor } from './running-door.js';

const ID = /^[0-9a-f]{32}$/;

let door: RunningDoor;
let client: RawClient;
let target: Target;
beforeAll(async () => {
  door = await RunningDoor.start();
  target = door.daemon.target('store');
});
beforeEach(async () => {
  client = await door.client();
  for (const key of (await client.call('KEYS', '*')) as string[])
    await client.call('DEL', Buffer.from(ID.test(key) ? key : `\xff${key}`, 'latin1'));
});
afterAll(closeDoors);

const NO_REGION = '0'.repeat(32);

async function contentsOf(name: string): Promise<string> {
  const { size } = await target.find(name);
  return Buffer.from(await target.read(name, 0, size)).toString('latin1');
}

/** Sends all at once. */
async function pipeline(to: RawClient, requests: (string | number | Uint8Array)[][]): Promise<Value[]> {
  to.socket.write(Buffer.concat(requests.map((request) => encode(...request))));
  const replies: Value[] = [];
  while (replies.length < requests.length) replies.push(await to.reply());
  return replies;
}

describe('a key', () => {
  it('is a name of the target, and each SET a new region', async () => {
    expect(await client.call('SET', 'größer', 'one')).toBe('OK');
    const { id } = await target.find('größer');
    expect(await client.call('SET', 'größer', 'two')).toBe('OK');
    expect((await target.find('größer')).id.equals(id)).toBe(false);
    expect(await contentsOf('größer')).toBe('two');
    await target.put('from elsewhere', Buffer.from('value'));
    expect(await client.call('GET', 'from elsewhere')).toBe('value');
    expect(await client.call('BLOB.STAT', 'größer')).toEqual(
      expect.arrayContaining(['size', 3, 'name', Buffer.from('größer').toString('latin1')]),
    );
  });

  it('may hold nothing', async () => {
    expect(await client.call('SET', 'empty', '')).toBe('OK');
    expect(await client.call('GET', 'empty')).toBe('');
    expect(await client.call('STRLEN', 'empty')).toBe(0);
    expect(await client.call('EXISTS', 'empty')).toBe(1);
  });

  it('of 32 hexadecimal digits is an ID, for which the rules of regions hold', async () => {
    const id = (await client.call('BLOB.CREATE', 4, 'DATA', 'abcd')) as string;
    expect(await client.call('GET', id)).toBe('abcd');
    expect(await client.call('MGET', id, 'nothing')).toEqual(['abcd', null]);
    expect(await client.call('TYPE', id)).toBe('string');
    expect(codeOf(await client.call('GET', NO_REGION))).toBe('REGION_NOT_FOUND');
    expect(codeOf(await client.call('SETRANGE', id, 3, 'xy'))).toBe('OUT_OF_RANGE');
    for (const request of [
      ['SET', id, 'x'],
      ['APPEND', id, 'x'],
      ['INCR', id],
      ['GETDEL', id],
      ['MSET', id, 'x'],
      ['COPY', 'a', id],
      ['RENAME', id, NO_REGION],
    ])
      expect(codeOf(await client.call(...request))).toBe('INVALID_ARGUMENT');
    expect(await client.call('COPY', id, 'copied')).toBe(1);
    expect(await client.call('RENAME', id, 'named')).toBe('OK');
    expect((await target.find('named')).id.toString()).toBe(id);
    expect(await client.call('MGET', 'copied', 'named')).toEqual(['abcd', 'abcd']);
    expect(await client.call('DEL', id, 'copied')).toBe(2);
    expect(await client.call('GET', 'named')).toBeNull();
  });

  it('is of another target behind a byte that UTF-8 has not, and then never an ID', async () => {
    const marked = (provider: string, name: string): Buffer =>
      Buffer.concat([Buffer.from(provider), Buffer.of(0xff), Buffer.from(name)]);
    expect(await client.call('SET', marked('guard', 'k'), 'there')).toBe('OK');
    expect(await client.call('GET', 'k')).toBeNull();
    expect(await client.call('GET', marked('guard.0', 'k'))).toBe('there');
    const looksLikeId = `store/${NO_REGION}`;
    expect(await client.call('SET', marked('', looksLikeId), 'a name')).toBe('OK');
    expect(await contentsOf(looksLikeId)).toBe('a name');
    expect(await client.call('GET', `with:${NO_REGION}`)).toBeNull();
    expect(codeOf(await client.call('MGET', 'k', marked('guard', 'k')))).toBe('INVALID_ARGUMENT');
    expect(await client.call('DEL', marked('guard', 'k'))).toBe(1);
  });

  it.each<[string, Uint8Array | string]>([
    ['empty', ''],
    ['too long', 'n'.repeat(1025)],
    ['much too long', 'n'.repeat(2 ** 16)],
    ['no UTF-8', Buffer.of(0xc3, 0x28)],
  ])('that is %s is refused', async (_what, key) => {
    expect(codeOf(await client.call('SET', key, 'x'))).toBe('INVALID_ARGUMENT');
    expect(codeOf(await client.call('GET', key))).toBe('INVALID_ARGUMENT');
    expect(await client.call('DBSIZE')).toBe(0);
  });

  it('needs a target that has names', async () => {
    await client.call('SELECT', 'gated');
    for (const request of [
      ['SET', 'k', 'v'],
      ['GET', 'k'],
      ['INCR', 'k'],
      ['DEL', 'k'],
      ['STRLEN', 'k'],
      ['MULTI'],
    ])
      expect(codeOf(await client.call(...request))).toBe('NOT_SUPPORTED');
  });

  it.each(['EX', 'px', 'EXAT', 'PXAT'])('does not expire: SET with %s is refused', async (word) => {
    expect(codeOf(await client.call('SET', 'k', 'v', word, 10))).toBe('NOT_SUPPORTED');
    expect(await client.call('EXISTS', 'k')).toBe(0);
  });
});

describe('values of many bytes', () => {
  const SIZE = 3 * 2 ** 20;

  it('are set, read in parts, added to and copied', async () => {
    const bytes = Buffer.alloc(SIZE, 'abcdefg');
    expect(await client.call('SET', 'large', bytes)).toBe('OK');
    expect(await client.call('STRLEN', 'large')).toBe(SIZE);
    expect(await client.call('GET', 'large')).toBe(bytes.toString('latin1'));
    expect(await client.call('GETRANGE', 'large', -7, -1)).toBe(bytes.toString('latin1', SIZE - 7));
    expect(await client.call('APPEND', 'large', 'end')).toBe(SIZE + 3);
    expect(await client.call('SETRANGE', 'large', SIZE + 10, bytes.subarray(0, 2 ** 16))).toBe(
      SIZE + 10 + 2 ** 16,
    );
    expect(await client.call('COPY', 'large', 'copy')).toBe(1);
    expect(await client.call('GETRANGE', 'copy', SIZE - 2, SIZE + 12)).toBe(
      `${bytes.toString('latin1', SIZE - 2)}end${'\0'.repeat(7)}abc`,
    );
    expect(await client.call('GETSET', 'large', 'small')).toHaveLength(SIZE + 10 + 2 ** 16);
    expect(await client.call('DBSIZE')).toBe(2);
  });

  it('beyond what one reply holds are refused whole', async () => {
    const { max_bulk_bytes: most } = JSON.parse((await client.call('BEDROCK.HELLO')) as string) as {
      max_bulk_bytes: number;
    };
    expect(codeOf(await client.call('SETRANGE', 'k', most, 'x'))).toBe('ERR');
    await target.put('huge', { size: most + 1, source: [new Uint8Array(most), new Uint8Array(1)] });
    expect(codeOf(await client.call('GET', 'huge'))).toBe('INVALID_ARGUMENT');
    expect(codeOf(await client.call('APPEND', 'huge', 'x'))).toBe('ERR');
    expect(await client.call('GETRANGE', 'huge', most, -1)).toBe('\0');
  });
});

describe('commands on one name', () => {
  it('of one connection come one after another', async () => {
    const requests = Array.from({ length: 50 }, (_, n) => [
      ['SET', 'k', `v${n}`],
      ['APPEND', 'k', '+'],
      ['GET', 'k'],
      ['SETRANGE', 'k', 0, 'V'],
      ['STRLEN', 'k'],
      ['GETSET', 'k', 'x'],
      ['DEL', 'k'],
      ['EXISTS', 'k'],
    ]).flat();
    const replies = await pipeline(client, requests);
    for (let n = 0; n < 50; n++) {
      const length = 2 + String(n).length;
      expect(replies.slice(8 * n, 8 * n + 8)).toEqual([
        'OK',
        length,
        `v${n}+`,
        length,
        length,
        `V${n}+`,
        1,
        0,
      ]);
    }
  });

  it('of many connections, and of other doors, lose nothing', async () => {
    const others = await Promise.all(Array.from({ length: 8 }, () => door.client()));
    const requests = Array.from({ length: 40 }, () => [
      ['INCR', 'count'],
      ['APPEND', 'text', 'x'],
      ['INCRBYFLOAT', 'sum', '0.5'],
    ]).flat();
    const byTarget = async (): Promise<void> => {
      for (let n = 0; n < 40;) {
        const { id, size } = await target.find('text').catch(() => ({ id: undefined, size: 0 }));
        const contents = Buffer.alloc(size + 1, 'x');
        const made = await target.put('text', contents, { if: id ?? 'absent' }).catch(() => undefined);
        if (made !== undefined) n++;
      }
    };
    await Promise.all([...others.map(async (each) => pipeline(each, requests)), byTarget()]);
    expect(await client.call('MGET', 'count', 'sum')).toEqual([String(8 * 40), String((8 * 40) / 2)]);
    expect(await client.call('STRLEN', 'text')).toBe(9 * 40);
  });

  it('that only one may win, one wins', async () => {
    const others = await Promise.all(Array.from({ length: 8 }, () => door.client()));
    for (const request of [
      ['SETNX', 'k1', 'x'],
      ['MSETNX', 'k2', 'x', 'k3', 'x'],
      ['RENAMENX', 'k3', 'k4'],
      ['COPY', 'k4', 'k5'],
    ]) {
      const won = await Promise.all(others.map(async (each) => each.call(...request)));
      expect(won.filter((each) => each === 1)).toHaveLength(1);
    }
  });
});

describe('lists of names', () => {
  it('are read and changed in the order of the requests, however large', async () => {
    const large = 'x'.repeat(70_000);
    const replies = await pipeline(client, [
      ['MSET', 'a', '1', 'b', '', 'a', '2'],
      ['MGET', 'a', 'b', 'none', 'a'],
      ['SET', 'large', large],
      ['MGET', 'a', 'large'],
      ['MSET', 'a', large, 'b', '3'],
      ['MGET', 'a', 'b'],
      ['GET', 'b'],
    ]);
    expect(replies).toEqual(['OK', ['2', '', null, '2'], 'OK', ['2', large], 'OK', [large, '3'], '3']);
    await client.call('HELLO', '3');
    expect(await client.call('MGET', 'none', 'b')).toEqual([null, '3']);
  });

  it('are left as they were if one of them cannot be changed', async () => {
    expect(await client.call('MSET', 'a', '1')).toBe('OK');
    expect(codeOf(await client.call('MSET', 'a', '2', '', 'x'))).toBe('INVALID_ARGUMENT');
    expect(codeOf(await client.call('MGET', 'a', ''))).toBe('INVALID_ARGUMENT');
    expect(codeOf(await client.call('MSET', 'a', '2', NO_REGION, 'x'))).toBe('INVALID_ARGUMENT');
    expect(await client.call('GET', 'a')).toBe('1');
  });
});

describe('keys', () => {
  it('are names, and IDs of regions that have none', async () => {
    const id = (await client.call('BLOB.CREATE', 1)) as string;
    await client.call('MSET', 'b', '1', 'a', '2');
    expect(await client.call('KEYS', '*')).toEqual(['a', 'b', id]);
    expect(await client.call('SCAN', 0)).toEqual(['0', ['a', 'b', id]]);
    expect(await client.call('SCAN', 0, 'TYPE', 'list')).toEqual(['0', []]);
    expect(await client.call('DBSIZE')).toBe(3);
    expect(['a', 'b', id]).toContain(await client.call('RANDOMKEY'));
    expect(await client.call('INFO', 'keyspace')).toBe('# Keyspace\r\ndb0:keys=3,expires=0,avg_ttl=0\r\n');
  });

  it('that are there all the time are scanned once, though their regions are replaced', async () => {
    const names = Array.from({ length: 60 }, (_, n) => `name:${String(n).padStart(2, '0')}`);
    await client.call('MSET', ...names.flatMap((name) => [name, 'x']));
    const found: string[] = [];
    let cursor: Value = '0';
    do {
      const [next, page] = (await client.call('SCAN', cursor, 'MATCH', 'name:*', 'COUNT', 7)) as [
        string,
        string[],
      ];
      found.push(...page);
      cursor = next;
      for (const name of names) await client.call('SET', name, 'y');
    } while (cursor !== '0');
    expect(found).toEqual(names);
  });

  it('of a random kind are each found sooner or later', async () => {
    await client.call('MSET', 'a', '1', 'b', '1', 'c', '1');
    const found = new Set<Value>();
    while (found.size < 3) found.add(await client.call('RANDOMKEY'));
    expect([...found].sort()).toEqual(['a', 'b', 'c']);
  });
});

describe('a transaction', () => {
  it('is made at once, regions and names together', async () => {
    const id = (await client.call('BLOB.CREATE', 4, 'DATA', 'abcd')) as string;
    const replies = await pipeline(client, [
      ['MULTI'],
      ['SETRANGE', id, 1, 'XY'],
      ['GETRANGE', id, 0, -1],
      ['RENAME', id, 'named'],
      ['APPEND', 'named', '!'],
      ['GET', id],
      ['EXISTS', id, 'named'],
      ['PING'],
      ['EXEC'],
    ]);
    const [exec] = replies.slice(-1) as [Value[]];
    expect(exec.slice(0, 4)).toEqual([4, 'aXYd', 'OK', 5]);
    expect(codeOf(exec[4] as Value)).toBe('REGION_NOT_FOUND');
    expect(exec.slice(5)).toEqual([1, 'PONG']);
    expect(await contentsOf('named')).toBe('aXYd!');
  });

  it('knows a region by its ID and by the names that it has on the way', async () => {
    await client.call('MSET', 'old', 'value', 'other', 'x');
    const [id, other] = await Promise.all(
      ['old', 'other'].map(async (name) => (await target.find(name)).id.toString()),
    );
    const replies = await pipeline(client, [
      ['MULTI'],
      ['RENAME', id as string, 'other'],
      ['MGET', 'old', 'other'],
      ['EXISTS', id as string, other as string],
      ['RENAME', 'other', 'new'],
      ['SETRANGE', id as string, 0, 'V'],
      ['MGET', 'other', 'new', id as string],
      ['SET', 'new', 'z'],
      ['EXISTS', id as string],
      ['EXEC'],
    ]);
    expect(replies.at(-1)).toEqual(['OK', [null, 'value'], 1, 'OK', 5, [null, 'Value', 'Value'], 'OK', 0]);
    expect(await client.call('KEYS', '*')).toEqual(['new']);
  });

  it('is refused as a whole when it is too large, or holds what cannot stand in one', async () => {
    const replies = await pipeline(client, [
      ['MULTI'],
      ['SET', 'a', 'x'],
      ['SET', 'b', Buffer.alloc(2 ** 21)],
      ['EXEC'],
      ['MULTI'],
      ['SET', 'a', 'x'],
      ['BLOB.CREATE', 1],
      ['EXEC'],
      ['EXISTS', 'a'],
    ]);
    const errors = replies.map((reply) => (reply instanceof Error ? codeOf(reply) : reply));
    expect(errors.slice(3)).toEqual([
      'TRANSACTION_TOO_LARGE',
      ...['OK', 'QUEUED', 'NOT_SUPPORTED', 'EXECABORT'],
      0,
    ]);
  });

  it('does not come to pass when a watched name was changed by another door', async () => {
    await client.call('SET', 'k', 'before');
    await client.call('WATCH', 'k', 'absent');
    await target.put('k', Buffer.from('other'));
    expect(await pipeline(client, [['MULTI'], ['SET', 'k', 'mine'], ['EXEC']])).toEqual([
      'OK',
      'QUEUED',
      null,
    ]);
    expect(await contentsOf('k')).toBe('other');
    await client.call('WATCH', 'absent');
    await target.put('absent', Buffer.from('there now'));
    expect(await pipeline(client, [['MULTI'], ['SET', 'k', 'mine'], ['EXEC']])).toEqual([
      'OK',
      'QUEUED',
      null,
    ]);
    expect(await pipeline(client, [['MULTI'], ['SET', 'k', 'mine'], ['EXEC']])).toEqual([
      'OK',
      'QUEUED',
      ['OK'],
    ]);
  });

  it('is of one target', async () => {
    await client.call('WATCH', 'k');
    await client.call('SELECT', 'guard');
    expect(codeOf(await client.call('MULTI'))).toBe('INVALID_ARGUMENT');
    expect(codeOf(await client.call('EXEC'))).toBe('EXECABORT');
    await client.call('MULTI');
    expect(codeOf(await client.call('SET', Buffer.from('store\xffk', 'latin1'), 'x'))).toBe(
      'INVALID_ARGUMENT',
    );
    expect(codeOf(await client.call('EXEC'))).toBe('EXECABORT');
  });

  it('sees names of one moment', async () => {
    const others = await Promise.all([door.client(), door.client()]);
    await client.call('MSET', 'x', '0', 'y', '0');
    const writes = Array.from({ length: 100 }, (_, n) => ['MSET', 'x', String(n), 'y', String(n)]);
    const reads = Array.from({ length: 100 }, () => [
      ['MULTI'],
      ['GET', 'x'],
      ['GET', 'y'],
      ['EXEC'],
      ['MGET', 'x', 'y'],
    ]).flat();
    const [, replies] = await Promise.all([pipeline(others[0], writes), pipeline(others[1], reads)]);
    for (const reply of replies) if (Array.isArray(reply)) expect(reply[0]).toBe(reply[1]);
  });
});

describe('commands on names as the contract has them', () => {
  it('put, rename, list and change', async () => {
    const first = (await client.call('BLOB.PUT', 'dir/a', 'one', 'ABSENT')) as string;
    expect(first).toMatch(ID);
    expect(codeOf(await client.call('BLOB.PUT', 'dir/a', 'two', 'ABSENT'))).toBe('NAME_TAKEN');
    expect(codeOf(await client.call('BLOB.PUT', 'dir/a', 'two', 'IF', NO_REGION))).toBe('CONDITION_FAILED');
    const second = await client.call('BLOB.PUT', 'dir/a', 'two', 'IF', first);
    expect(await client.call('BLOB.READ', 'dir/a', 0, 3)).toBe('two');
    expect(codeOf(await client.call('BLOB.READ', 'dir/a', 0, 4))).toBe('OUT_OF_RANGE');
    const made = await client.call('BLOB.CREATE', 2, 'DATA', 'xy', 'PERSIST', 'NAME', 'top');
    expect(codeOf(await client.call('BLOB.CREATE', 2, 'NAME', 'top'))).toBe('NAME_TAKEN');
    expect(await client.call('BLOB.NAMES', 'DELIMITER', '/')).toEqual([
      null,
      [['top', made, 2, expect.any(Number)]],
      ['dir/'],
    ]);
    expect(await client.call('BLOB.NAMES', 'PREFIX', 'dir/', 'COUNT', 1)).toEqual([
      null,
      [['dir/a', second, 3, expect.any(Number)]],
      [],
    ]);
    expect(codeOf(await client.call('BLOB.RENAME', 'top', 'dir/a'))).toBe('NAME_TAKEN');
    expect(await client.call('BLOB.RENAME', 'top', 'dir/a', 'REPLACE')).toBe('OK');
    expect(await client.call('BLOB.RENAME', 'dir/a', '')).toBe('OK');
    expect(await client.call('BLOB.LIST')).toEqual([null, [[made, 2, expect.any(Number)]]]);
    const done = await client.call(
      ...['BLOB.TRANSACT', 'EXPECT', 'n', '', 'PUT', 'n', 'abc', 'WRITE', 'n', 1, 'X', 'RENAME', 'n', 'm'],
      ...['ERASE', made as string],
    );
    expect(done).toEqual([null, expect.stringMatching(ID), null, null, null]);
    expect(await client.call('BLOB.READ', 'm', 0, 3)).toBe('aXc');
    expect(await client.call('BLOB.LIST')).toEqual([
      null,
      [[(done as Value[])[1], 3, expect.any(Number), 'm']],
    ]);
    expect(codeOf(await client.call('BLOB.TRANSACT', 'ERASE', 'm', 'EXPECT', 'm', NO_REGION))).toBe(
      'CONDITION_FAILED',
    );
    expect(await client.call('EXISTS', 'm')).toBe(1);
  });

  it('upload contents in parts', async () => {
    const upload = async (...words: string[]): Promise<Value> => {
      const number = (await client.call('BLOB.UPLOAD', 6, ...words)) as number;
      await client.call('BLOB.UPLOAD.PART', number, 'abc');
      await client.call('BLOB.UPLOAD.PART', number, 'def');
      return client.call('BLOB.UPLOAD.END', number);
    };
    const first = (await upload('PERSIST', 'NAME', 'up')) as string;
    expect(await contentsOf('up')).toBe('abcdef');
    const second = (await upload('PUT', 'up', 'IF', first)) as string;
    expect((await target.find('up')).id.toString()).toBe(second);
    expect(codeOf(await client.call('BLOB.UPLOAD', 6, 'PUT', 'up', 'ABSENT'))).toBe('NAME_TAKEN');
  });

  it.each([
    [['BLOB.PUT', 'n', 'x', 'NONSENSE']],
    [['BLOB.PUT', NO_REGION, 'x']],
    [['BLOB.RENAME', 'n', NO_REGION]],
    [['BLOB.RENAME', 'n', 'm', 'NONSENSE']],
    [['BLOB.NAMES', 'NONSENSE', 'x']],
    [['BLOB.NAMES', 'PREFIX']],
    [['BLOB.NAMES', 'PREFIX', Buffer.of(0xc3)]],
    [['BLOB.TRANSACT', 'NONSENSE']],
    [['BLOB.TRANSACT', 'PUT', 'n']],
    [['BLOB.TRANSACT', 'PUT', NO_REGION, 'x']],
    [['BLOB.TRANSACT', 'EXPECT', 'n', 'm']],
  ])('refuse %j', async (request) => {
    expect(codeOf(await client.call(...(request as string[])))).toBe('INVALID_ARGUMENT');
  });
});

describe.each(['file', 'pmem'])('a %s target', (type) => {
  needs('the native addon', type === 'file' || nativeAddon.isHere).it(
    'has after a restart what was answered',
    async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-resp-'));
      const config = { path: path.join(folder, 'pool'), create_if_missing_with_size: 2 ** 23 };
      const start = (): Promise<RunningDoor> =>
        RunningDoor.start({
          providers: [{ name: 'disk', type: 'warabi', config: { target: { type, config } } }],
        });
      try {
        const first = await start();
        await pipeline(await first.client(), [
          ['SET', 'k', 'v'],
          ['APPEND', 'k', 'w'],
          ['INCR', 'n'],
          ['MSET', 'a', '1', 'b', '2'],
          ['RENAME', 'a', 'c'],
          ['MULTI'],
          ['INCR', 'n'],
          ['DEL', 'b'],
          ['EXEC'],
        ]);
        await first.close();
        const second = await start();
        const again = await second.client();
        expect(await again.call('MGET', 'k', 'n', 'a', 'b', 'c')).toEqual(['vw', '2', null, null, '1']);
        await second.close();
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  );
});
