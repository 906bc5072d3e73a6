/** `bedrock query`. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bedrock } from '../fixtures/bedrock-process.js';
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

  it('has each daemon evaluate an expression, given as such or in a file', async () => {
    const both = [tcp, unix].flatMap(({ env }) => ['-a', env.BEDROCK_ADDRESS]);
    const file = path.join(home, 'count.jsonata');
    await writeFile(file, '$count(providers)\n');
    for (const given of [
      ['-q', '$count(providers)'],
      ['-j', file],
    ]) {
      const { status, stdout } = await run(['query', ...both, ...given]);
      expect({ status, answer: JSON.parse(stdout) as unknown }).toEqual({
        status: 0,
        answer: { [tcp.env.BEDROCK_ADDRESS]: 2, [unix.env.BEDROCK_ADDRESS]: 1 },
      });
    }
  });

  it('asks each daemon of group files once', async () => {
    const member = ({ env }: Running, provider_id: number) => ({ address: env.BEDROCK_ADDRESS, provider_id });
    const one = path.join(home, 'one.json');
    const two = path.join(home, 'two.json');
    await writeFile(one, JSON.stringify({ members: [member(tcp, 1), member(tcp, 2)], metadata: { a: '1' } }));
    await writeFile(two, JSON.stringify({ members: [member(unix, 1), member(tcp, 2)] }));
    const { status, stdout } = await run(['query', '-f', one, '-f', two, '-q', '1']);
    expect({ status, answer: JSON.parse(stdout) as unknown }).toEqual({
      status: 0,
      answer: { [tcp.env.BEDROCK_ADDRESS]: 1, [unix.env.BEDROCK_ADDRESS]: 1 },
    });
  });

  it.each([
    ['no members', { members: [] }],
    ['a member without an id', { members: [{ address: 'http://127.0.0.1:1' }] }],
    ['an address of another transport', { members: [{ address: 'na+sm://1-0', provider_id: 1 }] }],
    ['a list', []],
  ])('refuses a group file with %s with CONFIG_INVALID and status 2', async (_, group) => {
    const file = path.join(home, 'group.json');
    await writeFile(file, JSON.stringify(group));
    const ended = await run(['query', '-f', file]);
    expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 2, code: 'CONFIG_INVALID' });
    expect(ended.stderr).toContain('group.json');
  });

  it('asks two processes, each of which has written its group file', async () => {
    const files = ['first', 'second'].map((name) => path.join(home, `${name}.group.json`));
    const daemons = await Promise.all(
      files.map(async (group_file) => {
        const provider = { type: 'warabi', name: path.basename(group_file, '.group.json'), provider_id: 9 };
        const store = { ...provider, config: { target: { type: 'memory' } } };
        const config = path.join(home, `${provider.name}.json`);
        await writeFile(
          config,
          JSON.stringify({
            'margo.mercury.address': 'http://127.0.0.1:0',
            bedrock: { group_file },
            providers: [store],
          }),
        );
        const daemon = bedrock(['-c', config]);
        await daemon.line(/ready/);
        return daemon;
      }),
    );
    try {
      const { status, stdout } = await run([
        'query',
        ...files.flatMap((file) => ['-f', file]),
        '-q',
        'providers.name',
      ]);
      expect(status).toBe(0);
      expect(Object.values(JSON.parse(stdout) as object)).toEqual(['first', 'second']);
    } finally {
      for (const daemon of daemons) daemon.signal('SIGTERM');
      await Promise.all(daemons.map(({ exit }) => exit));
    }
  });

  it('prints nothing if a daemon refuses the expression, and names it', async () => {
    const ended = await run(['query', '-q', 'providers.['], { env: tcp.env });
    expect({ ...ended, code: codeOf(ended) }).toMatchObject({
      status: 1,
      stdout: '',
      code: 'INVALID_ARGUMENT',
    });
    expect(ended.stderr).toContain(tcp.env.BEDROCK_ADDRESS);
  });

  it.each([
    ['both an expression and a file', ['-q', '1', '-j', 'x']],
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
