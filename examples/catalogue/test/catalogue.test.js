/** Results and their labels: always together, also if many add at the same time or the process is killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { bootstrap } from 'bedrock-node';
import { Catalogue } from '../catalogue.js';

/** @import { Daemon } from 'bedrock-node' */

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

/** A program that adds results as fast as it can, removes every third, and says what is acknowledged. */
const WRITER = `
  import { bootstrap } from 'bedrock-node';
  import { writeSync } from 'node:fs';
  import { Catalogue } from ${JSON.stringify(path.resolve(import.meta.dirname, '../catalogue.js'))};
  const [config, directory] = process.argv.slice(1);
  const daemon = await bootstrap(JSON.parse(config), { directory, listen: false, logLevel: 'off' });
  const catalogue = new Catalogue(daemon.target('store'));
  for (;;) {
    const number = await catalogue.add(Buffer.alloc(3000, 7), ['all', 'three']);
    writeSync(1, number + '\\n');
    if (number % 3 === 0) await catalogue.remove(number);
  }`;

describe('a catalogue', () => {
  /** @type {string} */
  let directory;
  /** @type {Daemon | undefined} */
  let daemon;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'bedrock-catalogue-'));
  });
  afterEach(async () => {
    await close();
    await rm(directory, { recursive: true });
  });
  const open = async () => {
    daemon = await bootstrap(FILE, { directory, listen: false, logLevel: 'off' });
    return new Catalogue(daemon.target('store'));
  };
  const close = async () => {
    await daemon?.close();
    daemon = undefined;
  };
  /** @param {Catalogue} catalogue @param {string} label */
  const numbers = async (catalogue, label) => {
    const found = [];
    for await (const number of catalogue.withLabel(label)) found.push(number);
    return found;
  };

  it('finds results by number and by label, until they are removed', async () => {
    const catalogue = await open();
    const bytes = Buffer.from('first\nresult');
    assert.equal(await catalogue.add(bytes, ['a', 'b', 'a']), 1);
    assert.equal(await catalogue.add(Buffer.alloc(0), []), 2);
    assert.equal(await catalogue.add(Buffer.from('third'), ['b']), 3);
    const first = await catalogue.get(1);
    assert.deepEqual(first?.labels, ['a', 'b']);
    assert(bytes.equals(first.bytes));
    assert.deepEqual(await catalogue.labels(), ['a', 'b']);
    assert.deepEqual(await numbers(catalogue, 'b'), [1, 3]);
    assert.equal(await catalogue.remove(1), true);
    assert.equal(await catalogue.remove(1), false);
    assert.equal(await catalogue.get(1), undefined);
    assert.deepEqual(await numbers(catalogue, 'b'), [3]);
    assert.deepEqual(await catalogue.labels(), ['b']);
  });

  it('refuses what is not a label, and adds nothing', async () => {
    const catalogue = await open();
    for (const label of ['', 'a/b'])
      await assert.rejects(catalogue.add(Buffer.from('x'), ['good', label]), /not a label/);
    assert.deepEqual(await catalogue.labels(), []);
  });

  it('gives each result a number of its own, however many add at the same time', async () => {
    const catalogue = await open();
    const added = await Promise.all(
      Array.from({ length: 20 }, () => catalogue.add(Buffer.from('x'), ['label'])),
    );
    const expected = Array.from({ length: 20 }, (_, index) => index + 1);
    assert.deepEqual(
      added.toSorted((one, other) => one - other),
      expected,
    );
    assert.deepEqual(await numbers(catalogue, 'label'), expected);
  });

  it('has every result that was acknowledged with all its labels, and no label without its result, after each kill', async () => {
    let acknowledged = 0;
    for (let round = 0; round < 3; round++) {
      const args = ['--input-type=module', '-e', WRITER, '--', JSON.stringify(FILE), directory];
      const writer = spawn(process.execPath, args, {
        stdio: ['ignore', 'pipe', 'inherit'],
        cwd: import.meta.dirname,
      });
      let lines = 0;
      for await (const line of createInterface({ input: writer.stdout })) {
        acknowledged = Number(line);
        if (++lines === 7) writer.kill('SIGKILL');
      }
      const catalogue = await open();
      const all = await numbers(catalogue, 'all');
      assert.deepEqual(await numbers(catalogue, 'three'), all);
      for (const number of all) assert.equal((await catalogue.get(number))?.bytes.length, 3000);
      const kept = Array.from({ length: acknowledged }, (_, index) => index + 1).filter(
        (number) => number % 3 !== 0,
      );
      assert.deepEqual(
        kept.filter((number) => !all.includes(number)),
        [],
      );
      await close();
    }
  });
});
