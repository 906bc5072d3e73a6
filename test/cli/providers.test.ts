/** `bedrock providers`, `bedrock stats`, `bedrock shutdown`: what concerns the daemon as a whole. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ONE_STORE, TWO_STORES, codeOf, startDaemon, type Running } from '../fixtures/run-command.js';
import { runHere as run } from '../fixtures/run-here.js';

let running: Running;
beforeAll(async () => {
  running = await startDaemon(TWO_STORES);
  await running.daemon.target('scratch').create(2 ** 19);
});
afterAll(() => running.daemon.close());

function lines(text: string): string[] {
  return text.trimEnd().split('\n');
}

describe('bedrock providers', () => {
  it('lists them in the order of the configuration', async () => {
    const { status, stdout } = await run(['providers'], { env: running.env });
    expect(status).toBe(0);
    const rows = lines(stdout).map((line) => line.split(/ +/));
    expect(rows.slice(1)).toEqual([
      ['store', '42', 'warabi', 'running', 'memory', 'volatile'],
      ['scratch', '43', 'warabi', 'running', 'memory', '-'],
    ]);
  });

  it('gives JSON with --json', async () => {
    const { stdout } = await run(['providers', '--json'], { env: running.env });
    expect(JSON.parse(stdout)).toMatchObject([
      { name: 'store', providerId: 42, tags: ['volatile'], targets: [{ type: 'memory', state: 'open' }] },
      { name: 'scratch', providerId: 43 },
    ]);
  });
});

describe('bedrock stats', () => {
  it('shows the space of every target, with a bar where there is a limit', async () => {
    const { status, stdout } = await run(['stats'], { env: running.env });
    const [, store, scratch] = lines(stdout);
    expect(status).toBe(0);
    expect(store).toMatch(/^store +0 +memory +volatile +0 +0 B +unlimited +\d+\.\d [KMGT]iB free$/);
    expect(scratch).toMatch(/^scratch +0 +memory +volatile +1 +512\.0 KiB +1\.0 MiB +\[#{10}-{10}\] +50%$/);
  });

  it.each(['scratch', '43'])('shows one provider, as %s', async (provider) => {
    const { stdout } = await run(['stats', provider, '--json'], { env: running.env });
    const expected = { provider: 'scratch', target: 0, ...(await running.daemon.target('scratch').stats()) };
    expect(JSON.parse(stdout)).toEqual([expected]);
  });

  it('fails with PROVIDER_NOT_FOUND for a provider that is not there', async () => {
    const ended = await run(['stats', 'nobody'], { env: running.env });
    expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 1, code: 'PROVIDER_NOT_FOUND' });
  });
});

describe('an address that leads to no daemon that speaks this way', () => {
  it('is answered with how to reach the daemon over the Redis protocol, if HTTP went to that port', async () => {
    const config = { ...ONE_STORE, bedrock: { resp: { address: '127.0.0.1:0' } } };
    const { daemon } = await startDaemon(config);
    const address = `resp://${daemon.config.bedrock?.resp?.address ?? ''}`;
    const ended = await run(['stats', '-a', address.replace(/^resp/, 'http')]);
    await daemon.close();
    expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 1, code: 'UNREACHABLE' });
    expect(ended.stderr).toContain(address);
  });

  it('is answered with how to start a daemon and how to name another', async () => {
    const ended = await run(['providers', '-a', 'http://127.0.0.1:1']);
    expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 1, code: 'UNREACHABLE' });
    for (const cure of ['"bedrock start"', '-a', 'BEDROCK_ADDRESS']) expect(ended.stderr).toContain(cure);
  });
});

describe('bedrock shutdown', () => {
  it('stops the daemon', async () => {
    const { daemon, env } = await startDaemon(ONE_STORE);
    const { status, stderr } = await run(['shutdown'], { env });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    await daemon.closed;
    const again = await run(['shutdown'], { env });
    expect({ status: again.status, code: codeOf(again) }).toEqual({ status: 1, code: 'UNREACHABLE' });
  });
});
