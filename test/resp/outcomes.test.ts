/** What a reply says is what was done, whatever others do to the region meanwhile. */
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';
import { BedrockError, RegionId } from '../../core/index.js';
import { faults, gates } from '../fixtures/gated-library.js';
import { clearTrap, setTrap } from '../fixtures/throwing-library.js';
import { codeOf, encode, type RawClient } from './raw-client.js';
import { RunningDoor, closeDoors } from './running-door.js';

afterEach(async () => {
  clearTrap();
  await closeDoors();
});

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

it('an error before BEDROCK.HELLO is text, also where it comes late', async () => {
  const { client, id } = await open();
  gates.read.shut();
  faults.read = { error: new BedrockError('READ_ONLY', 'the medium has failed'), from: 0 };
  client.socket.write(Buffer.concat([encode('BLOB.READ', id, 0, 8), encode('BEDROCK.HELLO')]));
  await gates.read.arrivals(1);
  gates.read.open();
  const failed = (await client.reply()) as Error;
  expect(codeOf(failed)).toBe('READ_ONLY');
  expect(failed.message).not.toContain('{');
  expect(JSON.parse((await client.reply()) as string)).toHaveProperty('max_uploads');
});

describe('DEL of several regions', () => {
  const memory = { type: 'memory', config: {} };

  /** A door with the provider `worn`, whose regions can be made to fail, beside a sound one. */
  async function openWorn(): Promise<{ client: RawClient; sound: string[]; worn: string }> {
    const door = await RunningDoor.start({
      libraries: [fileURLToPath(new URL('../fixtures/throwing-library.ts', import.meta.url))],
      providers: [
        { name: 'store', type: 'warabi', provider_id: 1, config: { target: memory } },
        {
          name: 'worn',
          type: 'warabi',
          provider_id: 2,
          config: { target: { type: 'throwing', config: {} } },
        },
      ],
    });
    const client = await door.client();
    const sound: string[] = [];
    while (sound.length < 3) sound.push((await client.call('BLOB.CREATE', 1)) as string);
    const worn = (await client.call('BLOB.CREATE', 1, 'AT', 'worn')) as string;
    return { client, sound, worn: `worn/${worn}` };
  }

  it.each([
    ['READ_ONLY', new BedrockError('READ_ONLY', 'the medium has failed'), false],
    ['INTERNAL', new Error('the medium has failed'), true],
  ])(
    'that fails with %s on the way says what was erased, and leaves the rest',
    async (code, error, isLate) => {
      const { client, sound, worn } = await openWorn();
      const [a = '', b = '', c = ''] = sound;
      await client.call('BEDROCK.HELLO');
      setTrap('erase', error, isLate);
      const failed = (await client.call('DEL', a, '0'.repeat(32), b, worn, c)) as Error;
      clearTrap();
      expect(codeOf(failed)).toBe(code);
      const { details } = JSON.parse(failed.message.slice(code.length)) as { details: unknown };
      expect(details).toEqual({ erased: 2 });
      expect(await client.call('EXISTS', a, b)).toBe(0);
      expect(await client.call('EXISTS', worn, c)).toBe(2);
    },
  );

  it.each(['x'.repeat(1025), `none/${'0'.repeat(32)}`])(
    'erases none where one is named %s',
    async (wrong) => {
      const { client, sound } = await openWorn();
      expect(await client.call('DEL', ...sound, wrong)).toBeInstanceOf(Error);
      expect(await client.call('EXISTS', ...sound)).toBe(3);
    },
  );
});
