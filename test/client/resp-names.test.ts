/** Names over the Redis protocol that the rules of the contract say nothing of: targets beside the chosen one, odd names, large contents. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { connect, type RemoteTarget, RegionId, type Service } from '../../core/index.js';
import { closeDoors, RunningDoor } from '../resp/running-door.js';

let door: RunningDoor;
let service: Service;
let home: RemoteTarget;
let other: RemoteTarget;
beforeAll(async () => {
  door = await RunningDoor.start();
  service = await connect(`resp://127.0.0.1:${door.port}`);
  home = service.target('store');
  other = service.target('guard');
  // The connection chooses the target that it is asked for first.
  await home.stats();
});
afterAll(async () => {
  await service.close();
  await closeDoors();
});

const text = async (target: RemoteTarget, name: string): Promise<string> =>
  Buffer.from(await target.read(name, 0, (await target.find(name)).size)).toString();

it.each([
  'plain',
  'größer',
  'with/slashes',
  `store/${'0'.repeat(32)}`,
  `x.1/${'A'.repeat(32)}`,
  'n'.repeat(1024),
])('the name %s is of each target by itself', async (name) => {
  const contents = Buffer.from('at home');
  await home.put(name, contents);
  await other.createAndWrite(Buffer.from('elsewhere'), { name });
  expect([await text(home, name), await text(other, name)]).toEqual(['at home', 'elsewhere']);
  for (const target of [home, other]) {
    await target.write(name, 0, Buffer.from('AT'));
    await target.writev(name, [{ offset: 2, size: 1 }], Buffer.from('-'), { persist: true });
    expect((await target.stat(name)).name).toBe(name);
    await target.transact([
      { type: 'expect', name, id: (await target.find(name)).id },
      { type: 'rename', ref: name, to: 'moved', replace: true },
      { type: 'write', ref: 'moved', offset: 0, bytes: Buffer.from('a') },
    ]);
    await target.rename('moved', name);
  }
  expect([await text(home, name), await text(other, name)]).toEqual(['aT-home', 'aT-ewhere']);
  await home.erase(name);
  expect((await other.names({ prefix: name })).names.map((found) => found.name)).toEqual([name]);
  await other.erase(name);
});

it('contents of many pieces are put in parts, and read as one region though the name moves on', async () => {
  const size = 3 * 2 ** 20 + 1;
  const first = await other.put('large', Buffer.alloc(size, 'a'));
  const stream = other.readStream('large', 0, size);
  const begun = await stream.next();
  const condition = { if: first };
  const source = [Buffer.alloc(size - 1, 'b'), Buffer.alloc(1, 'c')];
  await other.put('large', { size, source }, condition);
  expect((begun.value as Uint8Array).every((byte) => byte === 97)).toBe(true);
  // The region that the name had is gone.
  await expect(
    (async () => {
      for await (const piece of stream) expect(piece[0]).toBe(97);
      await other.read(first, 0, 1);
    })(),
  ).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
  expect(Buffer.from(await other.read('large', size - 2, 2)).toString()).toBe('bc');
  await expect(other.put('large', { size, source }, condition)).rejects.toMatchObject({
    code: 'CONDITION_FAILED',
  });
  await other.erase('large');
});

it('a transaction that no command holds is refused before it is sent', async () => {
  const changes = Array.from({ length: 40_000 }, (_, n) => ({ type: 'erase' as const, ref: `n${n}` }));
  await expect(home.transact(changes)).rejects.toMatchObject({
    code: 'TRANSACTION_TOO_LARGE',
    details: { bytes: 0 },
  });
  expect(await home.transact([])).toEqual({ ids: [] });
  await expect(home.transact([{ type: 'erase', ref: RegionId.random() }])).rejects.toMatchObject({
    code: 'REGION_NOT_FOUND',
    details: { change: 0 },
  });
});
