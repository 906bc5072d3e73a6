/** Who may use a daemon's unix sockets: their mode, and the users that the system names. */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { bootstrap, connect, type Daemon, type UnixConfig } from '../../core/index.js';
import { nativeAddon, needs } from '../fixtures/needs.js';
import { recordingLogger } from '../fixtures/recording-logger.js';

let home: string;
let daemon: Daemon | undefined;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-unix-'));
});
afterEach(async () => {
  await daemon?.close();
  daemon = undefined;
});
afterAll(() => rm(home, { recursive: true }));

async function run(unix: {
  mode?: string;
  allow_uids?: readonly number[];
  allow_gids?: readonly number[];
}): Promise<string[]> {
  const [http, resp] = [path.join(home, 'http'), path.join(home, 'resp')];
  daemon = await bootstrap(
    {
      margo: { mercury: { address: `unix:${http}` } },
      bedrock: { unix: unix as UnixConfig, resp: { unix: resp } },
    },
    { logger: recordingLogger().logger },
  );
  return [http, resp];
}

describe('the unix sockets of a daemon', () => {
  it.each([
    [undefined, 0o600],
    ['0660', 0o660],
    ['666', 0o666],
  ])('have the mode %s', async (mode, expected) => {
    for (const socket of await run(mode === undefined ? {} : { mode }))
      expect((await stat(socket)).mode & 0o777).toBe(expected);
  });

  it.each([{ mode: '0888' }, { mode: 'rw' }, { allow_uids: [-1] }])('are not made with %j', async (unix) => {
    await expect(run(unix)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  nativeAddon.it("let the daemon's own user in", async () => {
    const [http, resp] = await run({ allow_uids: [4_000_000_000] });
    for (const url of [`unix:${http ?? ''}`, `resp+unix:${resp ?? ''}`]) await (await connect(url)).close();
  });

  needs('root and the native addon', process.geteuid?.() === 0 && nativeAddon.isHere).it(
    'refuse other users, unless they or their group are named',
    async () => {
      await chmod(home, 0o755);
      for (const [lists, answer] of [
        [{ allow_uids: [1] }, /^-FORBIDDEN /],
        [{ allow_uids: [65_534] }, /^\+PONG/],
        [{ allow_gids: [65_533] }, /^\+PONG/],
      ] as const) {
        const [, resp = ''] = await run({ mode: '0666', ...lists });
        const script = `const s = require('net').connect(${JSON.stringify(resp)}); s.end('PING\\r\\n'); s.pipe(process.stdout);`;
        const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], {
          uid: 65_534,
          gid: 65_533,
          cwd: '/',
        });
        expect(stdout).toMatch(answer);
        await daemon?.close();
      }
    },
  );
});
