/** Which steps run, and which results they give, however often the workflow is started and killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { bootstrap } from 'bedrock-node';
import { Workflow } from '../workflow.js';

/** @import { Daemon, Target } from 'bedrock-node' */

const FILE = {
  providers: [
    {
      name: 'store',
      type: 'warabi',
      config: {
        target: { type: 'file', config: { path: 'store.pool', create_if_missing_with_size: 2 ** 23 } },
      },
    },
  ],
};

/** A workflow of 30 steps, each of which says that it runs. */
const PROGRAM = `
  import { bootstrap } from 'bedrock-node';
  import { writeSync } from 'node:fs';
  import { Workflow } from ${JSON.stringify(path.resolve(import.meta.dirname, '../workflow.js'))};
  const [config, directory] = process.argv.slice(1);
  const daemon = await bootstrap(JSON.parse(config), { directory, listen: false, logLevel: 'off' });
  const workflow = new Workflow(daemon.target('store'), 'run');
  let sum = 0;
  for (let step = 1; step <= 30; step++) {
    sum = await workflow.step('step ' + step, () => {
      writeSync(1, 'step ' + step + '\\n');
      return sum + step;
    });
  }
  writeSync(1, 'sum ' + sum + '\\n');
  await daemon.close();`;

describe('a workflow', () => {
  /** @type {string} */
  let directory;
  /** @type {Daemon | undefined} */
  let daemon;
  /** @type {Target} */
  let target;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'bedrock-workflow-'));
  });
  afterEach(async () => {
    await daemon?.close();
    daemon = undefined;
    await rm(directory, { recursive: true });
  });
  const open = async () => {
    daemon = await bootstrap(FILE, { directory, listen: false, logLevel: 'off' });
    target = daemon.target('store');
  };

  it('takes stored results instead of running their steps', async () => {
    await open();
    const run = async () => {
      const workflow = new Workflow(target, 'run');
      const one = await workflow.step('one', () => ({ at: new Date(0) }));
      const two = await workflow.step('two', () => [one, undefined]);
      return JSON.stringify(two);
    };
    const first = await run();
    assert.equal(first, '[{"at":"1970-01-01T00:00:00.000Z"},null]');
    assert.equal(await run(), first);
    await assert.rejects(
      new Workflow(target, 'other').step('one', () => assert.fail('it ran')),
      /it ran/,
    );
  });

  it('stores nothing of a step that failed', async () => {
    await open();
    await assert.rejects(
      new Workflow(target, 'run').step('one', () => Promise.reject(new Error('no'))),
      /no/,
    );
    assert.equal(await new Workflow(target, 'run').step('one', () => 5), 5);
  });

  it('has one result for a step, even if two processes run it', async () => {
    await open();
    const both = [1, 2].map((result) => new Workflow(target, 'run').step('one', () => result));
    const [one, other] = await Promise.all(both);
    assert.equal(one, other);
  });

  it('refuses two steps of one name', async () => {
    await open();
    const workflow = new Workflow(target, 'run');
    await workflow.step('one', () => 1);
    await assert.rejects(
      workflow.step('one', () => 2),
      /two steps/,
    );
  });

  it('forgets a run, and no other', async () => {
    await open();
    for (const run of ['run', 'run2']) await new Workflow(target, run).step('one', () => run);
    await new Workflow(target, 'run').forget();
    assert.equal(await new Workflow(target, 'run').step('one', () => 'again'), 'again');
    assert.equal(await new Workflow(target, 'run2').step('one', () => 'again'), 'run2');
  });

  it('keeps runs apart: a name of one has no slash', async () => {
    await open();
    for (const run of ['', 'a/b']) assert.throws(() => new Workflow(target, run), /not a name for a run/);
  });

  it('runs no step twice whose result was stored, however often it is killed', async () => {
    /** @type {string[]} */
    const ran = [];
    for (let round = 0, isDone = false; !isDone; round++) {
      assert(round < 40, `after ${round} rounds: ${ran.join(', ')}`);
      const args = ['--input-type=module', '-e', PROGRAM, '--', JSON.stringify(FILE), directory];
      const program = spawn(process.execPath, args, {
        stdio: ['ignore', 'pipe', 'inherit'],
        cwd: import.meta.dirname,
      });
      let lines = 0;
      for await (const line of createInterface({ input: program.stdout })) {
        if (line === 'sum 465') isDone = true;
        else ran.push(line);
        if (++lines === 9) program.kill('SIGKILL');
      }
    }
    // The step at which it was killed may run twice, and no other may.
    const expected = Array.from({ length: 30 }, (_, index) => `step ${index + 1}`);
    assert.deepEqual([...new Set(ran)], expected);
    assert(ran.every((step, at) => ran.lastIndexOf(step) - at <= 1));
  });
});
