/** Reads of a target that ceases to be direct between the question and the read, as when another thread meets a page that is lost. */
import { afterEach, expect, it, jest } from '@jest/globals';
import type { RegionId } from '../../core/index.js';
import { closeDoors, RunningDoor } from './running-door.js';

afterEach(closeDoors);

it.each([5, 100_000])(
  'are answered in their order, with the bytes and without a place too many (%d bytes)',
  async (size) => {
    const door = await RunningDoor.start();
    const target = door.daemon.target('store') as unknown as {
      createAndWrite: (bytes: Uint8Array) => Promise<RegionId>;
      readBytesNow: () => boolean;
    };
    const letters = ['a', 'b', 'c'];
    const ids = await Promise.all(
      letters.map(async (letter) => (await target.createAndWrite(Buffer.alloc(size, letter))).toString()),
    );
    jest.spyOn(target, 'readBytesNow').mockImplementation(() => {
      jest.restoreAllMocks();
      return false;
    });
    const client = await door.client();
    for (const id of ids) client.send('GETRANGE', id, 0, size - 1);
    const answers = [await client.reply(), await client.reply(), await client.reply()];
    expect(answers.map((answer) => (answer as string).length)).toEqual([size, size, size]);
    expect(answers.map((answer) => (answer as string)[size - 1])).toEqual(letters);
    const metrics = await (await fetch(`${door.daemon.address ?? ''}/metrics`)).text();
    expect(metrics).toMatch(/^bedrock_execution_pool_in_flight\{.*\} 0$/m);
  },
);
