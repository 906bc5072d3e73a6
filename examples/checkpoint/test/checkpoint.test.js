/** Checkpoints: whole, the last that was acknowledged or a newer one, whenever the program is killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { bootstrap } from 'bedrock-node';
import { Checkpoint } from '../checkpoint.js';
import { Plate } from '../heat.js';

/** @import { Daemon } from 'bedrock-node' */

const STATE_BYTES = 300_000;

/** @param {object} target */
const configOf = (target) => ({ providers: [{ name: 'store', type: 'warabi', config: { target } }] });

const FILE = configOf({ type: 'file', config: { path: 'store.pool', create_if_missing_with_size: 2 ** 23 } });

/** A program that saves states as fast as it can and says each step that is acknowledged. */
const WRITER = `
  import { bootstrap } from 'bedrock-node';
  import { writeSync } from 'node:fs';
  import { Checkpoint } from ${JSON.stringify(path.resolve(import.meta.dirname, '../checkpoint.js'))};
  const [config, directory] = process.argv.slice(1);
  const daemon = await bootstrap(JSON.parse(config), { directory, listen: false, logLevel: 'off' });
  const checkpoint = new Checkpoint(daemon.target('store'), 'state');
  for (let step = ((await checkpoint.load())?.step ?? 0) + 1; ; step++) {
    await checkpoint.save({ step, state: new Uint8Array(${STATE_BYTES}).fill(step) });
    writeSync(1, step + '\\n');
  }`;

describe('a checkpoint', () => {
  /** @type {string} */
  let directory;
  /** @type {Daemon | undefined} */
  let daemon;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'bedrock-checkpoint-'));
  });
  afterEach(async () => {
    await daemon?.close();
    daemon = undefined;
    await rm(directory, { recursive: true });
  });

  /** @param {ReturnType<typeof configOf>} config */
  const open = async (config) => {
    daemon = await bootstrap(config, { directory, listen: false, logLevel: 'off' });
    return daemon.target('store');
  };

  it('is undefined before the first, and the last one afterwards', async () => {
    const checkpoint = new Checkpoint(await open(configOf({ type: 'memory' })), 'state');
    assert.equal(await checkpoint.load(), undefined);
    for (let step = 1; step <= 3; step++)
      await checkpoint.save({ step, state: new Uint8Array(step * 1000).fill(step) });
    const saved = await checkpoint.load();
    assert.equal(saved?.step, 3);
    assert.deepEqual(Uint8Array.from(saved.state), new Uint8Array(3000).fill(3));
  });

  it('is nothing else that has its name', async () => {
    const target = await open(configOf({ type: 'memory' }));
    await target.put('state', Buffer.from('something else altogether'));
    await assert.rejects(new Checkpoint(target, 'state').load(), /no checkpoint/);
  });

  it('is whole, and no older than what was acknowledged, after each kill', async () => {
    let acknowledged = 0;
    for (let round = 0; round < 4; round++) {
      const args = ['--input-type=module', '-e', WRITER, '--', JSON.stringify(FILE), directory];
      const writer = spawn(process.execPath, args, {
        stdio: ['ignore', 'pipe', 'inherit'],
        cwd: import.meta.dirname,
      });
      let lines = 0;
      for await (const line of createInterface({ input: writer.stdout })) {
        acknowledged = Number(line);
        if (++lines === 3 + round) writer.kill('SIGKILL');
      }
      const saved = await new Checkpoint(await open(FILE), 'state').load();
      await daemon?.close();
      daemon = undefined;
      assert(saved !== undefined && saved.step >= acknowledged, `step ${saved?.step} after ${acknowledged}`);
      assert.deepEqual(Uint8Array.from(saved.state), new Uint8Array(STATE_BYTES).fill(saved.step));
    }
  });

  it('lets a simulation go on as if it had not ended', async () => {
    const checkpoint = new Checkpoint(await open(configOf({ type: 'memory' })), 'heat');
    const [whole, first] = [new Plate(16), new Plate(16)];
    for (let step = 0; step < 40; step++) whole.step();
    for (let step = 0; step < 25; step++) first.step();
    const { buffer, byteLength } = first.cells;
    await checkpoint.save({ step: 25, state: new Uint8Array(buffer, 0, byteLength) });
    const saved = await checkpoint.load();
    assert(saved !== undefined);
    const second = new Plate(16, new Float64Array(Uint8Array.from(saved.state).buffer));
    for (let { step } = saved; step < 40; step++) second.step();
    assert.deepEqual(second.cells, whole.cells);
  });
});
