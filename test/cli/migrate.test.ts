/** `bedrock migrate`: moves a provider, says beforehand what that would be, and gives it up. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RegionId } from '../../core/index.js';
import { hasCommand, needs } from '../fixtures/needs.js';
import { codeOf, end, launch, MAIN, startDaemon, TWO_STORES, type Running } from '../fixtures/run-command.js';
import { runHere as run } from '../fixtures/run-here.js';

let running: Running;
let address: string;
let id: RegionId;
beforeEach(async () => {
  running = await startDaemon(TWO_STORES);
  address = running.daemon.config.margo?.mercury?.address ?? '';
  id = await running.daemon.target('store').createAndWrite(Buffer.from('contents'));
});
afterEach(() => running.daemon.close());

const migrate = (...args: string[]): ReturnType<typeof run> =>
  run(['migrate', ...args], { env: running.env });

describe('bedrock migrate', () => {
  it('moves a provider to another one of the same daemon', async () => {
    const { status, stdout } = await migrate('store', address, 'scratch', '--transfer-size', '64K');
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^moved 1 region, 8 B sent, to provider "scratch" at http:\/\/\S+; changes waited \d+ ms\n$/,
    );
    expect((await running.daemon.target('scratch').stat(id)).size).toBe(8);
  });

  it('gives the operation with --json', async () => {
    const { stdout } = await migrate('42', address, '43', '--json', '--remove-source', '--max-rate', '1G');
    expect(JSON.parse(stdout)).toMatchObject({
      type: 'migrate',
      provider: 'store',
      state: 'done',
      totalBytes: 8,
      totalRegions: 1,
      result: { provider: 'scratch', regions: 1, sentBytes: 8, address },
    });
  });

  it('says with --dry-run what it would do, and changes nothing', async () => {
    const { status, stdout } = await migrate('store', address, 'scratch', '--dry-run', '--max-rate', '4');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^TARGET +FROM +TO +REGIONS +SIZE +FREE\n0 +memory +memory +1 +8 B +1\.0 MiB\n/);
    expect(stdout).toMatch(/would move 1 region, 8 B, to provider "scratch" at \S+, in 2 s at least\n$/);
    const json = await migrate('store', address, 'scratch', '--dry-run', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ regions: 1, bytes: 8, faults: [], provider: 'scratch' });
    await running.daemon.target('scratch').create(1);
    const refused = await migrate('store', address, 'scratch', '--dry-run');
    expect({ status: refused.status, code: codeOf(refused) }).toEqual({ status: 1, code: 'CONFLICT' });
    expect((await running.daemon.target('store').stat(id)).size).toBe(8);
  });

  needs('script', hasCommand('script')).it(
    'shows a bar with the time that is left, under a terminal',
    async () => {
      const bytes = 9 * 2 ** 20;
      await running.daemon.target('store').create(bytes);
      const options = `--merge-config '{"max_bytes": ${2 * bytes}}' --transfer-size 1M --max-rate 30M`;
      const command = `'${process.execPath}' '${MAIN}' migrate store ${address} moved ${options}`;
      const { stdout } = await end(launch('script', ['-qec', command, '/dev/null'], { env: running.env }));
      expect(stdout).toMatch(/\rmigrate: \[#+-+\] +\d+% \d+\.\d MiB of 9\.0 MiB, \S+ MiB\/s, \d+ s left/);
      expect(stdout).toMatch(/\rmigrate: \[#{30}\] 100% 9\.0 MiB of 9\.0 MiB/);
    },
  );

  it('gives up with --abandon', async () => {
    const { status } = await migrate('store', address, 'scratch', '--abandon');
    expect(status).toBe(0);
    expect((await running.daemon.target('store').stat(id)).size).toBe(8);
    expect((await migrate('store', address, 'x', '--abandon', '--dry-run')).status).toBe(2);
  });

  it('makes the destination with --merge-config, after --dry-run has said so', async () => {
    const made = ['store', address, 'made', '--merge-config', '{"max_bytes": 4096}'];
    const { stdout } = await migrate(...made, '--dry-run');
    expect(stdout).toMatch(
      /\n0 +memory +memory +1 +8 B +unknown\nwould move 1 region, 8 B, to provider "made" /,
    );
    expect((await migrate(...made)).status).toBe(0);
    expect((await running.daemon.target('made').stat(id)).size).toBe(8);
    const noFiles = await migrate('store', address, 'other', '--new-root', '/x', '--dry-run');
    expect(codeOf(noFiles)).toBe('INVALID_ARGUMENT');
    expect((await migrate('store', address, 'other', '--merge-config', '[]')).status).toBe(2);
  });

  it('fails with the code that the daemon gives', async () => {
    const ended = await migrate('store', address, 'nobody');
    expect({ status: ended.status, code: codeOf(ended) }).toEqual({ status: 1, code: 'PROVIDER_NOT_FOUND' });
    const wrong = await migrate('store', address, 'scratch', '--transfer-size', '1');
    expect(codeOf(wrong)).toBe('INVALID_ARGUMENT');
    expect((await migrate('store')).status).toBe(2);
  });
});
