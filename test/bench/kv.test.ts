/**
 * The benchmark of named values: that its operations do to a target, and to a server, what their
 * rows say.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { bootstrap, type Daemon, type Target } from '../../core/index.js';

type Run = (index: number) => Promise<unknown>;

interface Names {
  target: Target;
  writeDurably(size: number): Promise<Run>;
  find(size: number): Promise<Run>;
  map(size: number): Promise<Run>;
  read(size: number): Promise<Run>;
  writeTogether(size: number): Promise<Run>;
  walk(size: number): Promise<Run>;
  close(): Promise<void>;
}

interface Strings {
  write(size: number): Promise<{ run: Run }>;
  read(size: number): Promise<{ run: Run }>;
  fill(size: number, count: number): Promise<number>;
  close(): void;
}

// Plain JavaScript without declarations, hence not by paths that the compiler would follow.
const OURS: string = '../../bench/kv/ours.js';
const NAMES: string = '../../bench/kv/names.js';
const { openNames } = (await import(OURS)) as {
  openNames: (type: string, config: object, options: { names: number }) => Promise<Names>;
};
const { nameOf, scatteredNames } = (await import(NAMES)) as {
  nameOf: (number: number) => string;
  scatteredNames: (count: number) => string[];
};

const RESP: string = '../../bench/transport/resp.js';
const { openStrings } = (await import(RESP)) as {
  openStrings: (where: { address: object; provider: string }) => Promise<Strings>;
};

const COUNT = 8;
const SIZE = 64;
/** What the operation of index 0 is about. */
const [first = ''] = scatteredNames(COUNT);

describe('names', () => {
  test('have 20 bytes each, and are all there in another order', () => {
    const names = scatteredNames(COUNT);
    const inOrder = Array.from({ length: COUNT }, (_, number) => nameOf(number));
    expect(names.every((name) => name.length === 20)).toBe(true);
    expect(names).not.toEqual(inOrder);
    expect([...names].sort()).toEqual(inOrder);
  });
});

describe('operations on a target', () => {
  let ours: Names;
  beforeAll(async () => {
    ours = await openNames('memory', {}, { names: COUNT });
  });
  afterAll(() => ours.close());

  test('put a value under a name that is there', async () => {
    const run = await ours.writeDurably(SIZE);
    const before = await ours.target.names();
    expect(before.names).toHaveLength(COUNT);
    await run(0);
    const after = await ours.target.names();
    const ids = new Set(before.names.map(({ id }) => id.toString()));
    const changed = after.names.filter(({ id }) => !ids.has(id.toString()));
    expect(after.names).toHaveLength(COUNT);
    expect(changed).toMatchObject([{ name: first, size: SIZE }]);
  });

  test('put another value each time, as a store may write none that is there', async () => {
    const values = [];
    for (let round = 0; round < 2; round++) {
      const run = await ours.writeDurably(SIZE);
      await run(0);
      values.push(await ours.target.read(first, 0, SIZE));
    }
    expect(values[1]).not.toEqual(values[0]);
  });

  test('find and read values of all names in turn', async () => {
    const find = await ours.find(SIZE);
    const read = await ours.read(SIZE);
    const found = [];
    for (let index = 0; index < COUNT; index++) {
      found.push(await find(index));
      expect(await read(index)).toHaveLength(SIZE);
    }
    expect(found).toMatchObject(scatteredNames(COUNT).map((name) => ({ name, size: SIZE })));
  });

  test('map a value and release it', async () => {
    const run = await ours.map(SIZE);
    await run(0);
    const { usedBytes } = await ours.target.stats();
    await ours.target.erase(first);
    expect((await ours.target.stats()).usedBytes).toBeLessThan(usedBytes);
    await (
      await ours.writeDurably(SIZE)
    )(0);
  });

  test('walk over all pairs', async () => {
    const run = await ours.walk(SIZE);
    expect(await run(0)).toBe(COUNT);
  });

  test('write eight times into four regions in one transaction', async () => {
    const run = await ours.writeTogether(SIZE);
    await run(0);
    const { regions } = await ours.target.list();
    const written = [];
    for (const { id, size, name } of regions) {
      const bytes = await ours.target.read(id, 0, size);
      const values = bytes.filter((byte, at) => at % SIZE === SIZE - 1 && byte !== 0).length;
      if (name === undefined && values > 0) written.push(values);
    }
    expect(written).toEqual([2, 2, 2, 2]);
  });
});

describe('operations on a server', () => {
  const provider = 'store';
  let daemon: Daemon;
  let strings: Strings;
  beforeAll(async () => {
    daemon = await bootstrap(
      {
        bedrock: { resp: { address: '127.0.0.1:0' } },
        providers: [{ name: provider, type: 'warabi', config: { target: { type: 'memory' } } }],
      },
      { address: 'http://127.0.0.1:0', logLevel: 'off' },
    );
    const port = Number(daemon.config.bedrock?.resp?.address?.split(':').at(-1));
    strings = await openStrings({ address: { host: '127.0.0.1', port }, provider });
  });
  afterAll(async () => {
    strings.close();
    await daemon.close();
  });

  test('set and get a value of a name', async () => {
    const set = await strings.write(SIZE);
    const get = await strings.read(SIZE);
    await set.run(0);
    await get.run(0);
    const { name } = (await daemon.target(provider).names()).names[0] ?? { name: '' };
    expect(await daemon.target(provider).read(name, 0, SIZE)).toEqual(new Uint8Array(SIZE).fill(7));
  });

  test('fill it with so many values of names that were not there', async () => {
    const { regions } = await daemon.target(provider).stats();
    expect(await strings.fill(SIZE, COUNT)).toBe(COUNT);
    expect((await daemon.target(provider).stats()).regions).toBe(regions + COUNT);
  });
});
