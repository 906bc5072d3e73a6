/**
 * Values that are changed in place, by the ID of their region or by other doors, while commands read and then replace them: a command has
 * all of such a change or is before it, and EXEC after WATCH notices it.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { BaseTarget } from '../../core/targets/base-target.js';
import type { RegionId } from '../../core/index.js';
import { atomically } from '../../core/resp/atomically.js';
import { Contents } from '../../core/resp/contents.js';
import type { Overlay } from '../../core/resp/overlay.js';
import type { RawClient } from './raw-client.js';
import { closeDoors, RunningDoor } from './running-door.js';

let door: RunningDoor;
let client: RawClient;
let other: RawClient;
let target: BaseTarget;
let id: RegionId;
beforeAll(async () => {
  door = await RunningDoor.start();
  target = door.daemon.target('store') as BaseTarget;
});
beforeEach(async () => {
  client = await door.client();
  other = await door.client();
  id = await target.put('k', Buffer.from('100'));
  await target.put('other', Buffer.from('1'));
});
afterAll(closeDoors);

async function valueOf(name: string): Promise<string> {
  const { size } = await target.find(name);
  return Buffer.from(await target.read(name, 0, size)).toString();
}

/** All ways to change the first byte to 7. */
const WRITERS: readonly [string, () => Promise<unknown>][] = [
  ['BLOB.WRITE by the ID', () => other.call('BLOB.WRITE', id.toString(), 0, '7')],
  ['BLOB.WRITE by the name', () => other.call('BLOB.WRITE', 'k', 0, '7')],
  ['BLOB.WRITEV', () => other.call('BLOB.WRITEV', id.toString(), 0, '7')],
  ['SETRANGE by the ID', () => other.call('SETRANGE', id.toString(), 0, '7')],
  ['target.write', () => target.write(id, 0, Buffer.from('7'))],
  [
    'target.transact',
    () => target.transact([{ type: 'write', ref: 'k', offset: 0, bytes: Buffer.from('7') }]),
  ],
  [
    'PUT of a range over HTTP',
    () =>
      fetch(`${door.daemon.address}/v1/providers/store/regions/${id.toString()}?offset=0`, {
        method: 'PUT',
        body: '7',
      }).then(({ status }) => expect(status).toBe(204)),
  ],
];

describe.each(WRITERS)('%s', (_, write) => {
  it('has EXEC after WATCH return nothing, and nothing is done', async () => {
    await client.call('WATCH', 'other', 'k');
    await write();
    await client.call('MULTI');
    await client.call('SET', 'other', 'changed');
    expect(await client.call('EXEC')).toBeNull();
    expect(await valueOf('other')).toBe('1');
  });

  it('before WATCH does not matter', async () => {
    await write();
    await client.call('WATCH', 'k');
    await client.call('MULTI');
    await client.call('INCR', 'k');
    expect(await client.call('EXEC')).toEqual([701]);
  });

  it.each<[string, (view: Overlay) => Promise<unknown>, string, string]>([
    [
      'a value that is replaced',
      async (view) => {
        const bytes = await view.read((await view.contents('k')) as Contents);
        await once(write);
        view.put('k', Contents.of(Buffer.concat([bytes, Buffer.from('!')])));
      },
      'k',
      '700!',
    ],
    [
      'a value that is added to, and read only then',
      async (view) => {
        const before = (await view.contents('k')) as Contents;
        await once(write);
        view.put('k', Contents.join(before, Contents.of(Buffer.from('!'))));
      },
      'k',
      '700!',
    ],
    [
      'a value that another one is made from',
      async (view) => {
        const before = (await view.contents('k')) as Contents;
        const bytes = await view.read(before);
        await once(write);
        view.put('copy', Contents.of(bytes));
      },
      'copy',
      '700',
    ],
    [
      'the region of an ID that a value is made from',
      async (view) => {
        const bytes = await view.read((await view.contents(id)) as Contents);
        await once(write);
        view.put('copy', Contents.of(bytes));
      },
      'copy',
      '700',
    ],
  ])('between the reading and the change is seen by what reads %s', async (__, step, name, expected) => {
    isWritten = false;
    let tries = 0;
    await atomically(target, ['k'], (view) => {
      tries++;
      return step(view);
    });
    expect([tries, await valueOf(name)]).toEqual([2, expected]);
  });
});

let isWritten = false;
async function once(write: () => Promise<unknown>): Promise<void> {
  if (!isWritten) await write();
  isWritten = true;
}

it('commands by name and writes by ID at once lose nothing that was answered', async () => {
  const clients: RawClient[] = [];
  while (clients.length < 4) clients.push(await door.client());
  // Each writer owns one byte of the value: what it was told is there stays there.
  for (let round = 0; round < 20; round++) {
    const region = await target.put('k', Buffer.from('0000'));
    const outcomes = await Promise.all([
      ...[0, 1].map((at) => (clients[at] as RawClient).call('BLOB.WRITE', region.toString(), at, '5')),
      ...[2, 3].map((at) =>
        target.write(region, at, Buffer.from('5')).then(
          () => 'OK',
          () => 'gone',
        ),
      ),
      ...[2, 3].map((at) => (clients[at] as RawClient).call('APPEND', 'k', 'x')),
    ]);
    const written = outcomes.slice(0, 4).map((answer) => (answer === 'OK' ? '5' : '0'));
    expect(await valueOf('k')).toBe(`${written.join('')}xx`);
  }
});
