/** What a reply says is what was done, whatever others do to the region meanwhile. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { RegionId } from '../../core/index.js';
import { gates } from '../fixtures/gated-library.js';
import { codeOf, type RawClient } from './raw-client.js';
import { RunningDoor, closeDoors } from './running-door.js';

afterEach(closeDoors);

interface Opened {
  door: RunningDoor;
  client: RawClient;
  id: string;
}

/** A door with a client and a region of 8 bytes that waits at gates. */
async function open(): Promise<Opened> {
  const door = await RunningDoor.start();
  const client = await door.client();
  await client.call('SELECT', 'gated');
  return { door, client, id: (await client.call('BLOB.CREATE', 8)) as string };
}

/** Erases it in the process, past the door. */
function erase({ door, id }: Opened): Promise<void> {
  return door.daemon.target('gated').erase(RegionId.parse(id));
}

describe('of a region that somebody erases meanwhile', () => {
  it('a SETRANGE that has written gives the size', async () => {
    const opened = await open();
    const { client, id } = opened;
    gates.write.shut();
    client.send('SETRANGE', id, 0, 'x');
    await gates.write.arrivals(1);
    await erase(opened);
    gates.write.open();
    expect(await client.reply()).toBe(8);
  });

  it.each([
    ['SETRANGE', 0, 'x'],
    ['GETRANGE', -1, -1],
  ])('%s is REGION_NOT_FOUND before it has begun', async (command, ...rest) => {
    const opened = await open();
    const { client, id } = opened;
    gates.stat.shut();
    client.send(command, id, ...rest);
    await gates.stat.arrivals(1);
    await erase(opened);
    gates.stat.open();
    expect(codeOf(await client.reply())).toBe('REGION_NOT_FOUND');
  });
});
