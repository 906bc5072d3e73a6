/** What clients learn about connections, the daemon and the commands, in the forms of Redis 7 that their libraries parse. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { codeOf, type RawClient, type Value } from './raw-client.js';
import { RunningDoor, closeDoors } from './running-door.js';

let door: RunningDoor;
let client: RawClient;
beforeAll(async () => {
  door = await RunningDoor.start();
});
beforeEach(async () => {
  client = await door.client();
});
afterAll(closeDoors);

function fieldsOf(line: string): Record<string, string> {
  return Object.fromEntries(
    line
      .trimEnd()
      .split(' ')
      .map((field) => field.split('=') as [string, string]),
  );
}

describe('CLIENT', () => {
  it('INFO has the fields of Redis, and what they say is so', async () => {
    await client.call('CLIENT', 'SETNAME', 'me');
    await client.call('CLIENT', 'SETINFO', 'LIB-NAME', 'lib(x)');
    await client.call('CLIENT', 'SETINFO', 'LIB-VER', '1.2');
    await client.call('SELECT', 'guard');
    await client.call('HELLO', 3);
    const id = (await client.call('CLIENT', 'ID')) as number;
    const fields = fieldsOf((await client.call('CLIENT', 'INFO')) as string);
    expect(fields).toMatchObject({
      id: String(id),
      name: 'me',
      addr: `127.0.0.1:${client.socket.localPort}`,
      laddr: `127.0.0.1:${door.port}`,
      ...{ flags: 'N', db: '3', multi: '-1', resp: '3', cmd: 'client', user: 'default', redir: '-1' },
      ...{ 'lib-name': 'lib(x)', 'lib-ver': '1.2' },
    });
    const numbers = 'fd age idle sub psub ssub qbuf qbuf-free argv-mem multi-mem obl oll omem tot-mem'.split(
      ' ',
    );
    for (const name of numbers) expect(fields[name]).toMatch(/^\d+$/);
    expect(await client.call('RESET')).toBe('RESET');
    expect(fieldsOf((await client.call('CLIENT', 'INFO')) as string)).toMatchObject({
      name: '',
      db: '0',
      resp: '2',
    });
  });

  it('INFO counts what a client holds', async () => {
    const idle = await door.client();
    const idleId = await idle.call('CLIENT', 'ID');
    idle.socket.write(`*2\r\n$4\r\nECHO\r\n$1000\r\n${'x'.repeat(500)}`);
    for (;;) {
      const line = (await client.call('CLIENT', 'LIST', 'ID', idleId as number)) as string;
      // The head of the request, and half of its argument.
      if (fieldsOf(line).qbuf === String(4 + 10 + 7 + 500)) break;
    }
  });

  it('LIST chooses by type and by id', async () => {
    const id = (await client.call('CLIENT', 'ID')) as number;
    const listed = async (...args: (string | number)[]): Promise<string[]> =>
      ((await client.call('CLIENT', 'LIST', ...args)) as string).split('\n').filter((line) => line !== '');
    const all = await listed();
    expect(all.map((line) => fieldsOf(line).id)).toContain(String(id));
    expect(await listed('TYPE', 'normal')).toHaveLength(all.length);
    expect(await listed('TYPE', 'pubsub')).toEqual([]);
    expect(await listed('TYPE', 'REPLICA')).toEqual([]);
    expect((await listed('ID', id, 1_000_000)).map((line) => fieldsOf(line).id)).toEqual([String(id)]);
  });

  it.each([
    ['LIST', 'TYPE', 'nonsense'],
    ['LIST', 'TYPE'],
    ['LIST', 'ID', 'x'],
    ['LIST', 'NONSENSE', 'x'],
    ['SETINFO', 'LIB-NAME', 'with blanks'],
    ['SETINFO', 'NONSENSE', 'x'],
    ['SETNAME', 'with blanks'],
    ['NO-EVICT', 'perhaps'],
    ['GETNAME', 'x'],
    ['KILL', 'x'],
  ])('refuses %s %s %s', async (...args) => {
    expect(codeOf(await client.call('CLIENT', ...args))).toBe('INVALID_ARGUMENT');
  });
});

describe('HELLO', () => {
  it('takes a name, and says when it is missing', async () => {
    expect(codeOf(await client.call('HELLO', 3, 'SETNAME'))).toBe('INVALID_ARGUMENT');
    expect(await client.call('HELLO', 3, 'SETNAME', 'me')).toBeInstanceOf(Map);
    expect(await client.call('CLIENT', 'GETNAME')).toBe('me');
  });
});

describe('INFO', () => {
  it('has titles of one word, and lines of a name and a value', async () => {
    const text = (await client.call('INFO')) as string;
    const lines = text.split('\r\n');
    expect(lines.pop()).toBe('');
    for (const line of lines) expect(line).toMatch(/^(|# [A-Z][a-z]+|\w+:.*)$/);
    expect(text).toMatch(/^loading:0\r$/m);
  });

  it('gives the sections that are asked for', async () => {
    const titles = async (...sections: string[]): Promise<string[]> =>
      [...((await client.call('INFO', ...sections)) as string).matchAll(/^# (\w+)/gm)].map(
        ([, title = '']) => title,
      );
    const all = await titles();
    expect(await titles('STATS')).toEqual(['Stats']);
    expect(await titles('stats', 'server', 'nonsense')).toEqual(['Server', 'Stats']);
    expect(await titles('nonsense')).toEqual([]);
    expect(await titles('everything')).toEqual(all.toSpliced(-1, 0, 'Health'));
    expect(await titles('health')).toEqual(['Health']);
  });
});

describe('COMMAND', () => {
  it.each([2, 3])('describes each command by ten elements, version %d of the protocol', async (version) => {
    await client.call('HELLO', version);
    const rows = (await client.call('COMMAND')) as Value[][];
    expect(rows).toHaveLength((await client.call('COMMAND', 'COUNT')) as number);
    expect(await client.call('COMMAND', 'LIST')).toEqual(rows.map(([name]) => name));
    for (const row of rows)
      expect(row).toEqual([
        ...[expect.any(String), expect.any(Number), expect.any(Array)],
        ...[expect.any(Number), expect.any(Number), expect.any(Number)],
        ...[expect.any(Array), [], expect.any(Array), []],
      ]);
    const [row] = (await client.call('COMMAND', 'INFO', 'del')) as Value[][];
    expect(row?.slice(0, 7)).toEqual(['del', -2, ['write'], 1, -1, 1, ['@write', '@slow']]);
  });

  it('documents them', async () => {
    await client.call('HELLO', 3);
    const docs = (await client.call('COMMAND', 'DOCS', 'getrange', 'nonsense')) as Map<
      string,
      Map<string, Value>
    >;
    expect([...docs.keys()]).toEqual(['getrange']);
    expect([...(docs.get('getrange')?.keys() ?? [])]).toEqual(['summary', 'since', 'group']);
  });

  it.each([[['LIST', 'FILTERBY', 'PATTERN', 'x*']], [['COUNT', 'x']], [['NONSENSE']]])(
    'refuses %j',
    async (args) => {
      expect(codeOf(await client.call('COMMAND', ...args))).toBe('INVALID_ARGUMENT');
    },
  );
});
