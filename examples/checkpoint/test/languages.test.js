/** The simulation in JavaScript, Python and C: each resumes what another has left, and is killed without harm. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { bootstrap } from 'bedrock-node';
import { Checkpoint } from '../checkpoint.js';
import { Plate } from '../heat.js';

/** @import { Daemon } from 'bedrock-node' */

const SIDE = 16;
const home = path.resolve(import.meta.dirname, '..');
/** The first Python that has redis-py, as the system's own has not always the plain name. */
const python = ['python3', '/usr/bin/python3'].find(
  (name) => spawnSync(name, ['-c', 'import redis']).status === 0,
);

describe('a simulation', () => {
  /** @type {string} */
  let folder;
  /** @type {Daemon} */
  let daemon;
  /** @type {NodeJS.ProcessEnv} */
  let env;
  let hasC = false;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'bedrock-languages-'));
    const build = ['-std=c11', '-Wall', '-Wextra', '-Werror', '-O2', '-o', path.join(folder, 'heat')];
    hasC = spawnSync('cc', [...build, path.join(home, 'c/heat.c'), '-lhiredis']).status === 0;
    const target = { type: 'file', config: { path: 'store.pool', create_if_missing_with_size: 2 ** 23 } };
    daemon = await bootstrap(
      {
        margo: { mercury: { address: 'http://127.0.0.1:0' } },
        bedrock: { resp: { address: '127.0.0.1:0' } },
        providers: [{ name: 'store', type: 'warabi', config: { target } }],
      },
      { directory: folder, logLevel: 'off' },
    );
    const port = String(daemon.config.bedrock?.resp?.address?.split(':').at(-1));
    env = { ...process.env, BEDROCK_RESP_PORT: port, BEDROCK_RESP_URL: `redis://127.0.0.1:${port}` };
  });
  after(async () => {
    await daemon.close();
    await rm(folder, { recursive: true });
  });

  /** @param {'python' | 'c'} language @param {number} steps @param {number} [killAfter] lines of output */
  const run = async (language, steps, killAfter = Infinity) => {
    const program =
      language === 'c' ? [path.join(folder, 'heat')] : [python ?? '', path.join(home, 'python/heat.py')];
    const [command = '', ...first] = program;
    const child = spawn(command, [...first, String(steps), String(SIDE)], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = [];
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line);
      if (lines.length === killAfter) child.kill('SIGKILL');
    }
    return lines;
  };

  /** @param {number} steps */
  const stateAfter = (steps) => {
    const plate = new Plate(SIDE);
    for (let step = 0; step < steps; step++) plate.step();
    return plate.cells;
  };

  const isIn = { python: () => python !== undefined, c: () => hasC };
  for (const language of /** @type {const} */ (['python', 'c'])) {
    it(`in ${language} is killed, and goes on with the last checkpoint`, async (test) => {
      if (!isIn[language]())
        return test.skip(`${language} needs ${language === 'c' ? 'cc and libhiredis-dev' : 'python3-redis'}`);
      const checkpoint = new Checkpoint(daemon.target('store'), 'heat');
      const begun = (await checkpoint.load())?.step ?? 0;
      const killed = await run(language, 10_000_000, 4);
      assert.match(killed[0] ?? '', begun === 0 ? /^starting$/ : new RegExp(`^resuming from step ${begun}$`));
      // The daemon may still be at the last one that was sent.
      const least = (await checkpoint.load())?.step ?? 0;
      assert(least > begun + 100, `step ${least} after three checkpoints from ${begun}`);
      const end = least + 1007;
      const [first = ''] = await run(language, end);
      const resumed = Number(/^resuming from step (\d+)$/.exec(first)?.[1]);
      assert(resumed >= least && resumed < end, first);
      const saved = await checkpoint.load();
      assert.equal(saved?.step, end);
      // The same bits as in JavaScript: the operations and their order are the same.
      assert.deepEqual(new Float64Array(Uint8Array.from(saved.state).buffer), stateAfter(end));
    });
  }
});
