/** Clients that were written for Redis: its own tools and libraries of other languages where they are installed, and two of npm. */
import { execFile, spawnSync } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { hasCommand, needs } from '../fixtures/needs.js';
import { RunningDoor, closeDoors } from './running-door.js';

const run = promisify(execFile);

let door: RunningDoor;
let id: string;

beforeAll(async () => {
  door = await RunningDoor.start();
  id = (await door.daemon.target('store').create(4096)).toString();
});
afterAll(closeDoors);

needs('redis-cli', hasCommand('redis-cli')).describe('redis-cli', () => {
  const cli = async (...args: string[]): Promise<string> =>
    (await run('redis-cli', ['-p', String(door.port), ...args])).stdout.trimEnd();

  it('runs commands, in both versions of the protocol, and by provider', async () => {
    expect(await cli('SETRANGE', id, '0', 'hello')).toBe('4096');
    expect(await cli('GETRANGE', id, '0', '4')).toBe('hello');
    expect(await cli('-3', 'BLOB.READ', id, '0', '5')).toBe('hello');
    expect(await cli('-n', '3', 'DBSIZE')).toBe('0');
    expect(await cli('-n', '3', 'STRLEN', `store/${id}`)).toBe('4096');
    expect(await cli('-u', `redis://127.0.0.1:${door.port}/1`, 'DBSIZE')).toBe('1');
    expect(await cli('BLOB.READ', id, '4090', '10')).toMatch(/^OUT_OF_RANGE /);
  });

  it('finds regions by its --scan, and takes what is piped to it', async () => {
    expect(await cli('--scan')).toBe(id);
    const piped = run('redis-cli', ['-p', String(door.port), '--pipe']);
    piped.child.stdin?.end(`*4\r\n$8\r\nSETRANGE\r\n$32\r\n${id}\r\n$1\r\n0\r\n$4\r\nbulk\r\n`.repeat(100));
    expect((await piped).stdout).toContain('errors: 0, replies: 100');
    expect(await cli('GETRANGE', id, '0', '3')).toBe('bulk');
  });

  it('runs what is typed to it', async () => {
    const typed = run('redis-cli', ['-p', String(door.port)]);
    typed.child.stdin?.end(`PING\nSELECT 3\nDBSIZE\nRESET\nSTRLEN ${id}\nhelp blob.read\n`);
    const { stdout } = await typed;
    expect(stdout).toMatch(/^PONG\nOK\n0\nRESET\n4096\n/);
    expect(stdout).toMatch(/BLOB\.READ/);
  });
});

needs('redis-benchmark', hasCommand('redis-benchmark')).describe('redis-benchmark', () => {
  it.each<[string, string[]]>([
    ['pings, inline too', ['-t', 'ping']],
    ['pings in a pipeline', ['-t', 'ping', '-P', '16']],
    ['writes as Redis does', ['-P', '16', 'SETRANGE', 'ID', '0', 'xxxxxxxx']],
    ['reads, on two threads', ['-P', '16', '--threads', '2', 'GETRANGE', 'ID', '0', '63']],
    ['writes durably', ['BLOB.WRITE', 'ID', '4', 'abcdefgh', 'PERSIST']],
    ['reads by version 3', ['-3', '-P', '16', 'BLOB.READ', 'ID', '0', '64']],
    ['pings another provider', ['--dbnum', '3', '-t', 'ping']],
  ])('%s, without an error', async (_what, args) => {
    const { stdout, stderr } = await run('redis-benchmark', [
      ...['-p', String(door.port), '-n', '2000', '-c', '50', '--csv'],
      ...args.map((arg) => (arg === 'ID' ? id : arg)),
    ]);
    expect(stderr).toBe('');
    expect(stdout).not.toMatch(/error|warning/i);
    expect(stdout).toMatch(/^"test","rps".*\n".*","[1-9]/);
  });

  it('sets, gets and counts names, without an error', async () => {
    const { stdout, stderr } = await run('redis-benchmark', [
      ...['-p', String(door.port), '-n', '2000', '-P', '16', '--csv', '-t', 'set,get,incr,mset'],
    ]);
    expect(stderr).toBe('');
    expect(stdout).not.toMatch(/error|warning/i);
    expect(stdout.trim().split('\n')).toHaveLength(5);
    const target = door.daemon.target('store');
    for (const { name } of (await target.names()).names) await target.erase(name);
  });
});

/** A library of another language: how it is looked for, and the session that it runs. */
const LIBRARIES: readonly (readonly [
  library: string,
  look: [string, ...string[]],
  session: [string, string],
])[] = [
  ['redis-py', ['/usr/bin/python3', '-c', 'import redis'], ['/usr/bin/python3', 'session.py']],
  ['lua-redis', ['lua5.1', '-e', 'require "redis"'], ['lua5.1', 'session.lua']],
  [
    'Predis',
    ['php', '-r', 'exit(is_file("/usr/share/php/Predis/Autoloader.php") ? 0 : 1);'],
    ['php', 'session.php'],
  ],
];

describe.each(LIBRARIES)('%s', (library, [program, ...args], [interpreter, session]) => {
  needs(library, spawnSync(program, args).status === 0).it('runs through a session', async () => {
    const script = path.join(import.meta.dirname, 'clients', session);
    const { stdout } = await run(interpreter, [script, String(door.port), id]);
    expect(stdout).toMatch(/^\S+( \S+)?: [1-9] session/);
  });
});

describe('ioredis', () => {
  let client: Redis;
  beforeAll(async () => {
    client = new Redis({
      port: door.port,
      lazyConnect: true,
      connectionName: 'io',
      retryStrategy: () => null,
    });
    client.on('error', () => undefined);
    await client.connect();
  });
  afterAll(() => client.disconnect());

  it('is ready, reads and writes, and finds regions', async () => {
    expect(client.status).toBe('ready');
    expect(await client.setrange(id, 20, 'from io')).toBe(4096);
    expect((await client.getrangeBuffer(id, 20, 26)).toString()).toBe('from io');
    const found: string[] = [];
    for await (const ids of client.scanStream()) found.push(...(ids as string[]));
    expect(found).toEqual([id]);
    expect(await client.client('LIST')).toMatch(/ name=io .* lib-name=ioredis/);
    expect(await client.info('clients')).toMatch(/^# Clients\r\n/);
  });

  it('has values, counters and transactions', async () => {
    expect(await client.set('io', 'v', 'GET')).toBeNull();
    expect(await client.set('io', 'w', 'NX')).toBeNull();
    expect(await client.incrby('io:count', 5)).toBe(5);
    await client.watch('io');
    expect(await client.multi().append('io', '!').incr('io:count').get('io').exec()).toEqual([
      [null, 2],
      [null, 6],
      [null, 'v!'],
    ]);
    expect(await client.mget('io', 'io:count', 'none')).toEqual(['v!', '6', null]);
    expect((await client.keys('io*')).sort()).toEqual(['io', 'io:count']);
    expect(await client.unlink('io', 'io:count')).toBe(2);
  });

  it('pipelines, and learns of what fails in a transaction', async () => {
    expect(await client.pipeline().setrange(id, 20, 'again').getrange(id, 20, 24).exec()).toEqual([
      [null, 4096],
      [null, 'again'],
    ]);
    const transaction = client.multi().setrange(id, 20, 'WRONG').call('BLOB.ERASE', id).exec();
    await expect(transaction).rejects.toThrow(/^EXECABORT /);
    expect(await client.getrange(id, 20, 24)).toBe('again');
  });
});

describe.each([2, 3] as const)('the redis package, version %d of the protocol', (RESP) => {
  const open = () =>
    createClient({ RESP, socket: { host: '127.0.0.1', port: door.port, reconnectStrategy: false } });
  let client: ReturnType<typeof open>;

  beforeAll(async () => {
    client = open();
    client.on('error', () => undefined);
    await client.connect();
  });
  afterAll(() => client.close());

  it('reads and writes regions by the methods that it has for strings', async () => {
    expect(await client.ping()).toBe('PONG');
    expect(await client.setRange(id, 10, 'from node')).toBe(4096);
    expect(await client.getRange(id, 10, 18)).toBe('from node');
    expect(await client.strLen(id)).toBe(4096);
    expect(await client.exists([id, '0'.repeat(32)])).toBe(1);
    expect(await client.dbSize()).toBe(1);
    const found: string[] = [];
    for await (const ids of client.scanIterator()) found.push(...ids);
    expect(found).toEqual([id]);
  });

  it('makes and erases regions by commands of its own', async () => {
    const made = await client.sendCommand<string>(['BLOB.CREATE', '5', 'DATA', 'bytes']);
    expect(await client.sendCommand(['BLOB.READ', made, '1', '3'])).toBe('yte');
    expect(await client.del(made)).toBe(1);
    await expect(client.strLen(made)).rejects.toThrow(/^REGION_NOT_FOUND /);
  });

  it('selects providers, and describes its connection', async () => {
    await client.select(3);
    expect(await client.dbSize()).toBe(0);
    await client.select(0);
    expect(await client.dbSize()).toBe(1);
    await client.clientSetName('me');
    expect(await client.clientGetName()).toBe('me');
    expect(await client.clientId()).toBeGreaterThan(0);
    expect((await client.clientList()).some(({ name }: { name: string }) => name === 'me')).toBe(true);
    expect(await client.commandCount()).toBeGreaterThan(20);
    expect(await client.commandGetKeys(['GETRANGE', id, '0', '1'])).toEqual([id]);
    expect(await client.commandInfo(['ping', 'nonsense'])).toEqual([
      expect.objectContaining({ name: 'ping' }),
      null,
    ]);
  });

  it('has values, counters and transactions', async () => {
    expect(await client.set('rd', 'v')).toBe('OK');
    expect(await client.getSet('rd', 'w')).toBe('v');
    expect(await client.incrByFloat('rd:sum', 0.5)).toBe('0.5');
    await client.watch('rd');
    expect(await client.multi().append('rd', '!').get('rd').rename('rd', 'rd:2').exec()).toEqual([
      2,
      'w!',
      'OK',
    ]);
    expect(await client.mGet(['rd:2', 'rd:sum', 'none'])).toEqual(['w!', '0.5', null]);
    const other = open();
    await other.connect();
    await client.watch('rd:2');
    await other.set('rd:2', 'changed');
    await expect(client.multi().set('rd:2', 'mine').exec()).rejects.toThrow(/watch/i);
    await other.close();
    expect(await client.getDel('rd:2')).toBe('changed');
    expect(await client.del('rd:sum')).toBe(1);
  });
});

it('the redis package is refused with a password, as there is none', async () => {
  const client = createClient({
    password: 'secret',
    socket: { host: '127.0.0.1', port: door.port, reconnectStrategy: false },
  });
  client.on('error', () => undefined);
  await expect(client.connect()).rejects.toThrow(/AUTH/);
});
