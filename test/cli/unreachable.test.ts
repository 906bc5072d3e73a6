/** What commands say of a daemon that they cannot reach: whether it runs is asked only where that can be the cause. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { codeOf } from '../fixtures/run-command.js';
import { runHere } from '../fixtures/run-here.js';

let home: string;
let babbler: Server;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-unreachable-'));
  await symlink('loop', path.join(home, 'loop'));
  await writeFile(path.join(home, 'file'), '');
  babbler = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('nonsense\r\n');
  });
  await new Promise<void>((resolve) => babbler.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  babbler.close();
  await rm(home, { recursive: true });
});

const babblerAt = (): string => `127.0.0.1:${(babbler.address() as AddressInfo).port}`;

it.each<[string, string | (() => string), boolean]>([
  ['a port where nobody listens', 'http://127.0.0.1:1', true],
  ['the same over the Redis protocol', 'resp://127.0.0.1:1', true],
  ['a socket that is not there', () => `unix:${home}/none`, true],
  ['the same over the Redis protocol', () => `resp+unix:${home}/none`, true],
  ['a socket in no folder', () => `unix:${home}/file/none`, false],
  ['a socket behind links in a circle', () => `resp+unix:${home}/loop`, false],
  ['a host without a name', 'http://no-such-host.invalid:7480', false],
  ['the same over the Redis protocol', 'resp://no-such-host.invalid:7480', false],
  ['somebody else', () => `http://${babblerAt()}`, false],
  ['somebody else, over the Redis protocol', () => `resp://${babblerAt()}`, false],
])('%s: %s', async (_what, given, isAsked) => {
  const address = typeof given === 'string' ? given : given();
  const ended = await runHere(['providers', '-a', address]);
  expect([ended.status, codeOf(ended)]).toEqual([1, 'UNREACHABLE']);
  expect(ended.stderr).toContain(address);
  expect(ended.stderr.includes('bedrock start')).toBe(isAsked);
});
