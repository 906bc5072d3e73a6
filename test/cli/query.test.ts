/** `bedrock query`. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ONE_STORE, TWO_STORES, codeOf, startDaemon, type Running } from '../fixtures/run-command.js';
import { runHere as run } from '../fixtures/run-here.js';

let home: string;
let tcp: Running;
let unix: Running;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-query-'));
  tcp = await startDaemon(TWO_STORES);
  unix = await startDaemon(ONE_STORE, `unix:${path.join(home, 'socket')}`);
});
afterAll(async () => {
  await tcp.daemon.close();
  await unix.daemon.close();
  await rm(home, { recursive: true });
});

describe('bedrock query', () => {
  it('prints the configuration under the address of the environment, in one line', async () => {
    const { status, stdout, stderr } = await run(['query'], { env: tcp.env });
    expect({ status, stderr, lines: stdout.split('\n').length }).toEqual({ status: 0, stderr: '', lines: 2 });
    expect(JSON.parse(stdout)).toEqual({ [tcp.env.BEDROCK_ADDRESS]: tcp.daemon.config });
  });

  it('prints several daemons in one object, over TCP and a unix socket', async () => {
    const addresses = [tcp.env.BEDROCK_ADDRESS, unix.env.BEDROCK_ADDRESS];
    const { status, stdout } = await run(['query', ...addresses.flatMap((address) => ['-a', address])]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      [tcp.env.BEDROCK_ADDRESS]: tcp.daemon.config,
      [unix.env.BEDROCK_ADDRESS]: unix.daemon.config,
    });
  });

  it('takes --address before the environment', async () => {
    const { stdout } = await run(['query', '-a', unix.env.BEDROCK_ADDRESS], { env: tcp.env });
    expect(Object.keys(JSON.parse(stdout) as object)).toEqual([unix.env.BEDROCK_ADDRESS]);
  });

  it('indents with --pretty', async () => {
    const { stdout } = await run(['query', '-p'], { env: unix.env });
    expect(stdout).toBe(`${JSON.stringify({ [unix.env.BEDROCK_ADDRESS]: unix.daemon.config }, null, 2)}\n`);
  });

  it('fails with UNREACHABLE and status 1, and prints nothing, if one of several is not there', async () => {
    const ended = await run(['query', '-a', tcp.env.BEDROCK_ADDRESS, '-a', `unix:${home}/nobody`]);
    expect({ ...ended, code: codeOf(ended) }).toMatchObject({ status: 1, stdout: '', code: 'UNREACHABLE' });
  });

  it.each([
    ['an address of another kind', ['-a', 'ftp://here']],
    ['an unknown option', ['--nonsense']],
    ['an argument too many', ['this']],
  ])('refuses %s with INVALID_ARGUMENT and status 2', async (_, args) => {
    const ended = await run(['query', ...args], { env: tcp.env });
    expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 2, code: 'INVALID_ARGUMENT' });
  });

  it('explains itself with --help, and needs no daemon for that', async () => {
    const { status, stdout, stderr } = await run(['query', '--help'], {
      env: { BEDROCK_ADDRESS: 'unix:/nobody' },
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/--pretty[^]*Examples:/);
  });
});
