/** Regions that come in parts: their life cycle, and what becomes of one when its client errs, gives up or goes. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { RegionId, type RegionStat } from '../../core/index.js';
import { HeldSpace } from '../../core/runtime/held-space.js';
import { RequestCount } from '../../core/runtime/request-count.js';
import type { ServedTarget } from '../../core/runtime/served-target.js';
import { type Upload, Uploads } from '../../core/resp/uploads.js';
import type { Gate } from '../fixtures/gate.js';
import { gates } from '../fixtures/gated-library.js';
import { codeOf, encode, type RawClient, type Value } from './raw-client.js';
import { closeDoors, eventually, RunningDoor } from './running-door.js';

afterEach(closeDoors);

/** A door with a client that has chosen the store, or the gated one. */
async function open(store = 'store', options: Parameters<typeof RunningDoor.start>[0] = {}): Promise<Opened> {
  const door = await RunningDoor.start(options);
  const client = await door.client();
  await client.call('SELECT', store);
  return { door, client, store };
}

interface Opened {
  door: RunningDoor;
  client: RawClient;
  store: string;
}

async function used({ door, store }: Opened): Promise<number> {
  return (await door.daemon.target(store).stats()).usedBytes;
}

async function contents({ door, store }: Opened, id: Value): Promise<string> {
  const target = door.daemon.target(store);
  const region = RegionId.parse(id as string);
  const { size } = await target.stat(region);
  return Buffer.from(await target.read(region, 0, size)).toString();
}

describe('an upload', () => {
  it('makes a region of its parts, which may be empty, when it ends', async () => {
    const opened = await open();
    const { client, door } = opened;
    const number = (await client.call('BLOB.UPLOAD', 11)) as number;
    for (const part of ['hello', '', ' world'])
      expect(await client.call('BLOB.UPLOAD.PART', number, part)).toBe('OK');
    expect((await door.daemon.target('store').stats()).regions).toBe(0);
    expect(await contents(opened, await client.call('BLOB.UPLOAD.END', number))).toBe('hello world');
  });

  it('goes to the provider that AT names, and may hold nothing', async () => {
    const { client, door } = await open();
    const number = (await client.call('BLOB.UPLOAD', 0, 'PERSIST', 'AT', 'guard.0')) as number;
    expect(await client.call('BLOB.UPLOAD.END', number)).toMatch(/^[0-9a-f]{32}$/);
    expect((await door.daemon.target('guard').stats()).regions).toBe(1);
  });

  it.each<[string, string[], string]>([
    ['are too few', ['hell'], 'INVALID_ARGUMENT'],
    ['are too many', ['hello', '!'], 'INVALID_ARGUMENT'],
  ])('whose bytes %s leaves nothing', async (_title, parts, code) => {
    const opened = await open();
    const { client } = opened;
    const number = (await client.call('BLOB.UPLOAD', 5)) as number;
    for (const part of parts) client.send('BLOB.UPLOAD.PART', number, part);
    client.send('BLOB.UPLOAD.END', number);
    const replies: Value[] = [];
    for (let at = 0; at <= parts.length; at++) replies.push(await client.reply());
    expect(codeOf(replies.at(-1) as Value)).toBe(code);
    expect(await used(opened)).toBe(0);
  });

  it('is OUT_OF_SPACE before its first part', async () => {
    const { client } = await open('gated');
    expect(codeOf(await client.call('BLOB.UPLOAD', 2 ** 40))).toBe('OUT_OF_SPACE');
    expect(codeOf(await client.call('BLOB.UPLOAD.PART', 1, 'a'))).toBe('INVALID_ARGUMENT');
  });

  it.each(['BLOB.UPLOAD.END', 'BLOB.UPLOAD.CANCEL'])('is not known any more after %s', async (last) => {
    const { client } = await open();
    const number = (await client.call('BLOB.UPLOAD', 1)) as number;
    const sent = [
      ['BLOB.UPLOAD.PART', number, 'a'],
      [last, number],
      ['BLOB.UPLOAD.PART', number, 'b'],
      ['BLOB.UPLOAD.END', number],
      ['BLOB.UPLOAD.CANCEL', number],
    ];
    client.socket.write(Buffer.concat(sent.map((each) => encode(...each))));
    expect([await client.reply(), typeof (await client.reply())]).toEqual(['OK', 'string']);
    for (let at = 0; at < 3; at++) expect(codeOf(await client.reply())).toBe('INVALID_ARGUMENT');
  });

  it('is known to its own connection alone', async () => {
    const { client, door } = await open();
    const number = (await client.call('BLOB.UPLOAD', 1)) as number;
    const other = await door.client();
    expect(codeOf(await other.call('BLOB.UPLOAD.PART', number, 'a'))).toBe('INVALID_ARGUMENT');
  });

  it('is one of at most 256', async () => {
    const { client } = await open();
    for (let at = 0; at < 257; at++) client.send('BLOB.UPLOAD', 1);
    for (let at = 0; at < 256; at++) expect(await client.reply()).toBe(at + 1);
    expect(codeOf(await client.reply())).toBe('OVERLOADED');
    await client.call('BLOB.UPLOAD.CANCEL', 7);
    expect(await client.call('BLOB.UPLOAD', 1)).toBe(257);
  });
});

describe('an upload that is given up', () => {
  it.each<[string, (client: RawClient, number: number) => unknown]>([
    ['by CANCEL', (client, number) => client.call('BLOB.UPLOAD.CANCEL', number)],
    ['by RESET', (client) => client.call('RESET')],
    ['with its connection', (client) => client.close()],
  ])('%s gives its space back', async (_title, giveUp) => {
    const opened = await open();
    const { client } = opened;
    const number = (await client.call('BLOB.UPLOAD', 2 ** 20)) as number;
    await client.call('BLOB.UPLOAD.PART', number, Buffer.alloc(2 ** 19));
    expect(await used(opened)).toBe(2 ** 20);
    await giveUp(client, number);
    await eventually(
      () => used(opened),
      (bytes) => bytes === 0,
    );
  });

  it('while a part is being written keeps the bytes of the part until it is', async () => {
    const opened = await open('gated');
    const { client, door } = opened;
    const number = (await client.call('BLOB.UPLOAD', 2 ** 16)) as number;
    gates.write.shut();
    client.send('BLOB.UPLOAD.PART', number, Buffer.alloc(2 ** 16, 1));
    await gates.write.arrivals(1);
    client.socket.resetAndDestroy();
    await eventually(
      () => door.figure('connected_clients'),
      (count) => count === 1,
    );
    expect(await door.figure('arriving_bytes')).toBe(2 ** 16);
    gates.write.open();
    await eventually(
      () => used(opened),
      (bytes) => bytes === 0,
    );
    expect(await door.figure('arriving_bytes')).toBe(0);
  });

  it('is not waited for by a daemon that stops', async () => {
    const { client, door } = await open();
    const number = (await client.call('BLOB.UPLOAD', 4)) as number;
    await client.call('BLOB.UPLOAD.PART', number, 'ab');
    const closed = door.daemon.close();
    await client.ended();
    client.close();
    await closed;
  });

  it('by a client that sends nothing further ends with its connection', async () => {
    const opened = await open('store', { resp: { progress_timeout_ms: 50 } });
    const { client } = opened;
    await client.call('BLOB.UPLOAD', 4);
    await client.ended();
    await eventually(
      () => used(opened),
      (bytes) => bytes === 0,
    );
  });
});

describe('an upload that drips', () => {
  const TIMEOUT_MS = 1000;

  async function begun(): Promise<{ uploads: Uploads; upload: Upload; pass: (ms: number) => void }> {
    const opened = await open();
    let now = 0;
    const uploads = new Uploads(() => now);
    const place = {
      target: opened.door.daemon.target('store'),
      space: new HeldSpace(),
      requests: new RequestCount(),
    } as unknown as ServedTarget;
    const { upload } = uploads.begin(place, 2 ** 20, (contents) => place.target.createAndWrite(contents));
    await upload.begun;
    return { uploads, upload, pass: (ms) => void (now += ms) };
  }

  async function part(upload: Upload, bytes: number): Promise<void> {
    upload.claim();
    await upload.give(Buffer.alloc(bytes));
    upload.unclaim();
  }

  it('is given up, though each part comes in time', async () => {
    const { uploads, upload, pass } = await begun();
    for (const left of [1, 0]) {
      pass(TIMEOUT_MS / 2);
      await part(upload, 1);
      uploads.expire(TIMEOUT_MS);
      expect(uploads.count).toBe(left);
    }
  });

  it('by no less than a hundred bytes a second goes on', async () => {
    const { uploads, upload, pass } = await begun();
    for (let given = 0; given < 20; given++) {
      pass(TIMEOUT_MS / 2);
      await part(upload, 50);
      uploads.expire(TIMEOUT_MS);
    }
    expect(uploads.count).toBe(1);
    uploads.close();
  });

  it('is not held to the time that its target took, or in which the daemon stood still', async () => {
    const { uploads, upload, pass } = await begun();
    upload.claim();
    pass(10 * TIMEOUT_MS);
    upload.unclaim();
    pass(10 * TIMEOUT_MS);
    uploads.forgive(10 * TIMEOUT_MS);
    uploads.expire(TIMEOUT_MS);
    expect(uploads.count).toBe(1);
    uploads.close();
  });
});

describe('an upload that gets no part', () => {
  it('is given up when the time since its last one is over, and no other is', async () => {
    const opened = await open();
    let now = 0;
    const uploads = new Uploads(() => now);
    const place = {
      target: opened.door.daemon.target('store'),
      space: new HeldSpace(),
      requests: new RequestCount(),
    } as unknown as ServedTarget;
    const [stale, fresh, busy] = [0, 1, 2].map(() =>
      uploads.begin(place, 100, (contents) => place.target.createAndWrite(contents)),
    );
    if (stale === undefined || fresh === undefined || busy === undefined) throw new Error('none began');
    await Promise.all([stale, fresh, busy].map(({ upload }) => upload.begun));
    now = 60;
    fresh.upload.claim();
    await fresh.upload.give(Buffer.from('ten bytes.'));
    fresh.upload.unclaim();
    busy.upload.claim();
    now = 99;
    uploads.expire(100);
    expect(uploads.count).toBe(3);
    now = 100;
    uploads.expire(100);
    expect(() => uploads.get(stale.number)).toThrow('upload_timeout_ms');
    expect(uploads.count).toBe(2);
    await eventually(
      () => used(opened),
      (bytes) => bytes === 200,
    );
    now = 160;
    uploads.expire(100);
    expect(uploads.count).toBe(1);
    uploads.close();
    await eventually(
      () => used(opened),
      (bytes) => bytes === 0,
    );
  });

  it('is looked for only while there is one, of whatever client', async () => {
    const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const { client, door } = await open();
    const other = await door.client();
    const none = timers();
    await client.call('BLOB.UPLOAD', 1);
    expect(timers()).toBe(none + 1);
    await other.call('BLOB.UPLOAD', 0);
    await client.call('BLOB.UPLOAD.CANCEL', 1);
    expect(timers()).toBe(none + 1);
    await other.call('BLOB.UPLOAD.END', 1);
    expect(timers()).toBe(none);
    await other.call('BLOB.UPLOAD', 1);
    await other.call('RESET');
    expect(timers()).toBe(none);
    await client.call('BLOB.UPLOAD', 1);
    client.close();
    await eventually(
      () => Promise.resolve(timers()),
      (count) => count === none,
    );
  });

  it('gives its space back though its client goes on asking', async () => {
    const opened = await open('store', { resp: { upload_timeout_ms: 50 } });
    const { client } = opened;
    const number = (await client.call('BLOB.UPLOAD', 4)) as number;
    await eventually(
      async () => {
        expect(await client.call('PING')).toBe('PONG');
        return used(opened);
      },
      (bytes) => bytes === 0,
    );
    expect(codeOf(await client.call('BLOB.UPLOAD.END', number))).toBe('REQUEST_TIMEOUT');
  });
});

it.each(['too few', 'all'])(
  'a connection that ends right behind UPLOAD.END, with %s of the bytes there, leaves a whole region or none',
  async (there) => {
    const opened = await open('gated');
    const { client, door } = opened;
    const number = (await client.call('BLOB.UPLOAD', 4)) as number;
    await client.call('BLOB.UPLOAD.PART', number, there === 'all' ? 'abcd' : 'ab');
    client.send('BLOB.UPLOAD.END', number);
    client.socket.end();
    await client.ended();
    const target = door.daemon.target('gated');
    await eventually(
      async () => (await target.stats()).usedBytes,
      (bytes) => bytes === (there === 'all' ? 4 : 0),
    );
    expect((await target.stats()).regions).toBe(there === 'all' ? 1 : 0);
  },
);

describe('a connection that is reset while UPLOAD.END waits', () => {
  /** Resets it, and opens the gate when the daemon knows. */
  async function reset({ client, door }: Opened, gate: Gate): Promise<void> {
    const before = await door.figure('connected_clients');
    client.socket.resetAndDestroy();
    await eventually(
      () => door.figure('connected_clients'),
      (count) => count === before - 1,
    );
    gate.open();
  }

  it('for the region to be made leaves it, whole', async () => {
    const opened = await open('gated');
    const { client, door } = opened;
    const number = (await client.call('BLOB.UPLOAD', 4)) as number;
    await client.call('BLOB.UPLOAD.PART', number, 'abcd');
    gates.publish.shut();
    client.send('BLOB.UPLOAD.END', number);
    await gates.publish.arrivals(1);
    await reset(opened, gates.publish);
    const target = door.daemon.target('gated');
    const { regions } = await eventually(
      () => target.list(),
      (page) => page.regions.length > 0,
    );
    expect(await contents(opened, (regions[0] as RegionStat).id.toString())).toBe('abcd');
  });

  it('behind the last part leaves nothing', async () => {
    const opened = await open('gated');
    const { client, door } = opened;
    const number = (await client.call('BLOB.UPLOAD', 4)) as number;
    gates.write.shut();
    client.socket.write(
      Buffer.concat([encode('BLOB.UPLOAD.PART', number, 'abcd'), encode('BLOB.UPLOAD.END', number)]),
    );
    await gates.write.arrivals(1);
    await reset(opened, gates.write);
    await eventually(
      () => used(opened),
      (bytes) => bytes === 0,
    );
    expect((await door.daemon.target('gated').stats()).regions).toBe(0);
  });

  it('for a place in the execution pool leaves nothing', async () => {
    const margo = { argobots: { pools: [{ name: '__primary__', max_in_flight: 1 }] } };
    const opened = await open('gated', { margo });
    const { client, door } = opened;
    const number = (await client.call('BLOB.UPLOAD', 4)) as number;
    await client.call('BLOB.UPLOAD.PART', number, 'abcd');
    const other = await door.client();
    const id = (await other.call('BLOB.CREATE', 1, 'AT', 'gated')) as string;
    gates.write.shut();
    other.send('BLOB.WRITE', `gated/${id}`, 0, 'x');
    await gates.write.arrivals(1);
    client.socket.write(Buffer.concat([encode('BLOB.UPLOAD.END', number), encode('PING')]));
    const waiting = await eventually(
      async () => (await metrics(door)).match(/^bedrock_execution_pool_queued\{.*\} (\d+)$/m)?.[1],
      (count) => count === '1',
    );
    expect(waiting).toBe('1');
    await reset(opened, gates.write);
    await eventually(
      () => used(opened),
      (bytes) => bytes === 1,
    );
    expect((await door.daemon.target('gated').stats()).regions).toBe(1);
  });
});

async function metrics(door: RunningDoor): Promise<string> {
  return (await fetch(`${door.daemon.address ?? ''}/metrics`)).text();
}

describe('where requests queue for an execution pool', () => {
  const margo = { argobots: { pools: [{ name: '__primary__', max_in_flight: 2 }] } };

  /** Writes that fill the pool until the gate opens. @returns the region that the last of them is to */
  async function fillPool(door: RunningDoor): Promise<string> {
    let id = '';
    gates.write.shut();
    for (let at = 0; at < 2; at++) {
      const client = await door.client();
      id = (await client.call('BLOB.CREATE', 1, 'AT', 'gated')) as string;
      client.send('BLOB.WRITE', `gated/${id}`, 0, 'x');
      await gates.write.arrivals(at + 1);
    }
    return id;
  }

  it('parts stay in order, and none is lost', async () => {
    const opened = await open('gated', { margo });
    const { client, door } = opened;
    const number = (await client.call('BLOB.UPLOAD', 6)) as number;
    await fillPool(door);
    const parts = ['ab', 'cd', 'ef'].map((part) => encode('BLOB.UPLOAD.PART', number, part));
    client.socket.write(Buffer.concat([...parts, encode('BLOB.UPLOAD.END', number)]));
    await eventually(
      () => door.figureOf(client, 'oll'),
      (count) => count > 0,
    );
    gates.write.open();
    for (let part = 0; part < 3; part++) expect(await client.reply()).toBe('OK');
    expect(await contents(opened, await client.reply())).toBe('abcdef');
  });

  it('an upload that is admitted when its client has gone takes no space', async () => {
    const opened = await open('gated', { margo });
    const { client, door } = opened;
    const id = await fillPool(door);
    client.send('BLOB.UPLOAD', 1000);
    await eventually(
      () => door.figureOf(client, 'oll'),
      (count) => count > 0,
    );
    client.socket.resetAndDestroy();
    await eventually(
      () => door.figure('connected_clients'),
      (count) => count === 3,
    );
    // Its turn comes behind the upload's.
    const last = await door.client();
    last.send('BLOB.READ', `gated/${id}`, 0, 1);
    await eventually(
      () => door.figureOf(last, 'oll'),
      (count) => count > 0,
    );
    gates.write.open();
    expect(await last.reply()).toBe('x');
    expect(await used(opened)).toBe(2);
  });
});

describe('RESET', () => {
  it('has errors be told as to any client again', async () => {
    const { client } = await open();
    await client.call('BEDROCK.HELLO');
    await client.call('RESET');
    const failed = (await client.call('BLOB.STAT', '0'.repeat(32))) as Error;
    expect(failed.message).not.toContain('{');
  });
});
