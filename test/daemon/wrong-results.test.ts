/** What a backend gives is not taken at its word: each result that the contract does not have is INTERNAL by both doors, and they go on. */
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RegionId } from '../../core/index.js';
import { NAMED, STAT, STATS, lie, persisted } from '../fixtures/lying-library.js';
import { codeOf, type RawClient, type Value } from '../resp/raw-client.js';
import { RunningDoor, closeDoors } from '../resp/running-door.js';

const LIBRARY = fileURLToPath(new URL('../fixtures/lying-library.ts', import.meta.url));
const id = STAT.id.toString();

let door: RunningDoor;
let client: RawClient;
beforeAll(async () => {
  door = await RunningDoor.start({
    libraries: [LIBRARY],
    providers: [{ name: 'store', type: 'warabi', config: { target: { type: 'lying' } } }],
  });
  client = await door.client();
});
afterEach(() => {
  lie.at = undefined;
});
afterAll(closeDoors);

const regions = '/v1/providers/store/regions';
const names = '/v1/providers/store/names';
const TRANSACTION = JSON.stringify({
  changes: [
    { type: 'put', name: 'name', contents: '' },
    { type: 'erase', name: 'name' },
  ],
});
/** How each call is asked for: by HTTP (method, path, headers, body), where it has it, and by a command. */
const ASKS: Readonly<
  Record<string, { http?: [string, string, RequestInit?]; command?: (string | number)[] }>
> = {
  create: { http: ['POST', `${regions}?size=8`], command: ['BLOB.CREATE', 8] },
  createAndWrite: {
    http: ['POST', regions, { body: 'contents' }],
    command: ['BLOB.CREATE', 8, 'DATA', 'contents'],
  },
  read: { http: ['GET', `${regions}/${id}`], command: ['GETRANGE', id, 0, -1] },
  readv: { command: ['BLOB.READV', id, 0, 4, 4, 4] },
  stat: { http: ['HEAD', `${regions}/${id}`], command: ['STRLEN', id] },
  list: { http: ['GET', `${regions}?limit=1`], command: ['BLOB.LIST', 'COUNT', 1] },
  stats: { http: ['GET', '/v1/providers/store/stats'], command: ['BLOB.STATS'] },
  put: { http: ['PUT', `${names}/name`, { body: 'contents' }] },
  find: { http: ['HEAD', `${names}/name`] },
  names: { http: ['GET', `${names}?limit=1`] },
  transact: {
    http: [
      'POST',
      '/v1/providers/store/transactions',
      { body: TRANSACTION, headers: { 'content-type': 'application/json' } },
    ],
  },
};

async function statusOf([method, path, init]: [string, string, RequestInit?]): Promise<number> {
  const response = await fetch(`${door.daemon.address ?? ''}${path}`, { method, ...init });
  await response.arrayBuffer();
  return response.status;
}

/** Those of that name in /metrics, of all targets. */
async function figures(name: string): Promise<number[]> {
  const text = await (await fetch(`${door.daemon.address ?? ''}/metrics`)).text();
  return [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))].map(([, figure]) =>
    Number(figure),
  );
}

const other = RegionId.of(9, 9, 9, 9);
const stat = (members: object): unknown => ({ ...STAT, ...members });
const LIES: readonly [call: string, what: string, value: unknown][] = [
  ...['create', 'createAndWrite'].flatMap((call): [string, string, unknown][] => [
    [call, 'nothing', undefined],
    [call, 'a short text', 'abc'],
    [call, 'the text of an ID', id],
    [call, 'bytes', Buffer.alloc(16)],
    [call, 'what looks like an ID', { toString: () => 'ab' }],
  ]),
  ...['read', 'readv'].flatMap((call): [string, string, unknown][] => [
    [call, 'nothing', undefined],
    [call, 'text', '12345678'],
    [call, 'too few bytes', Buffer.alloc(7)],
    [call, 'too many bytes', Buffer.alloc(9)],
  ]),
  ['stat', 'nothing', undefined],
  ['stat', 'a negative size', stat({ size: -1 })],
  ['stat', 'half a byte', stat({ size: 7.5 })],
  ['stat', 'a size as text', stat({ size: '8' })],
  ['stat', 'no time', stat({ createdAt: undefined })],
  ['stat', 'a time that is a Date', stat({ createdAt: new Date() })],
  ['stat', 'another region', stat({ id: other })],
  ['list', 'nothing', undefined],
  ['list', 'no list', { regions: 'none' }],
  ['list', 'a hole', { regions: [null] }],
  ['list', 'more than was asked for', { regions: [STAT, STAT] }],
  ['list', 'a region without an ID', { regions: [stat({ id })] }],
  ['list', 'a next that is no ID', { regions: [STAT], next: id }],
  ['list', 'no end', { regions: [], next: STAT.id }],
  ...[undefined, 'abc', id, {}].map((value): [string, string, unknown] => ['put', typeof value, value]),
  ['find', 'nothing', undefined],
  ['find', 'no name', STAT],
  ['find', 'another name', { ...NAMED, name: 'other' }],
  ['find', 'a name of bytes', { ...NAMED, name: Buffer.from('name') }],
  ['names', 'nothing', undefined],
  ['names', 'no list', { names: 5, prefixes: [] }],
  ['names', 'no prefixes', { names: [NAMED] }],
  ['names', 'prefixes that are no text', { names: [], prefixes: [5] }],
  ['names', 'a region without a name', { names: [STAT], prefixes: [] }],
  ['names', 'more than was asked for', { names: [NAMED], prefixes: ['a'] }],
  ['names', 'a next that is no text', { names: [NAMED], prefixes: [], next: STAT.id }],
  ['names', 'no end', { names: [], prefixes: [], next: 'a' }],
  ['transact', 'nothing', undefined],
  ['transact', 'fewer IDs', { ids: [STAT.id] }],
  ['transact', 'no ID for a put', { ids: [null, null] }],
  ['transact', 'text for an ID', { ids: [id, null] }],
  ['stats', 'nothing', undefined],
  ['stats', 'negative regions', { ...STATS, regions: -1 }],
  ['stats', 'no use', { ...STATS, usedBytes: NaN }],
  ['stats', 'a capacity that is a BigInt', { ...STATS, capacityBytes: 8n }],
  ['stats', 'no recovery', { ...STATS, recovery: undefined }],
  ['stats', 'no mode', { ...STATS, mode: 4 }],
  ['stats', 'pending bytes as text', { ...STATS, pendingBytes: '8' }],
  ['stats', 'half a failed give-back', { ...STATS, failedGiveBacks: 0.5 }],
];

describe('a backend', () => {
  it.each(Object.keys(ASKS))('%s: is served as long as it is right', async (call) => {
    const { http, command } = ASKS[call] as (typeof ASKS)[string];
    if (command !== undefined) expect(await client.call(...command)).not.toBeInstanceOf(Error);
    if (http !== undefined) expect(await statusOf(http)).toBeLessThan(300);
  });

  it.each(LIES)('whose %s gives %s is INTERNAL', async (call, _what, value) => {
    const { http, command } = ASKS[call] as (typeof ASKS)[string];
    lie.at = call;
    lie.value = value;
    if (http !== undefined) expect(await statusOf(http)).toBe(500);
    if (command === undefined) return;
    const answer: Value = await client.call(...command);
    expect(codeOf(answer)).toBe('INTERNAL');
    expect((answer as Error).message).toContain('"lying"');
    lie.at = undefined;
    expect(await client.call(...command)).not.toBeInstanceOf(Error);
  });

  it.each(['source', 'part of a source'])(
    'that has a region before it has taken the whole contents (%s) is INTERNAL, and holds no place',
    async (what) => {
      lie.at = what;
      expect(await statusOf(['POST', regions, { body: 'contents' }])).toBe(500);
      const begun = await client.call('BLOB.UPLOAD', 8);
      if (what === 'source') expect(codeOf(begun)).toBe('INTERNAL');
      else expect(codeOf(await client.call('BLOB.UPLOAD.PART', begun as number, 'cont'))).toBe('INTERNAL');
      lie.at = undefined;
      expect(await figures('bedrock_execution_pool_in_flight')).toEqual([0]);
    },
  );

  it('that swallows what is wrong with the contents is not believed that there is a region', async () => {
    lie.at = 'a broken source';
    const number = (await client.call('BLOB.UPLOAD', 8)) as number;
    expect(await client.call('BLOB.UPLOAD.PART', number, 'cont')).toBe('OK');
    expect(codeOf(await client.call('BLOB.UPLOAD.END', number))).toBe('INVALID_ARGUMENT');
  });

  it('may leave a source of no bytes alone', async () => {
    lie.at = 'source';
    const upload = async (part: string): Promise<Value> => {
      const number = (await client.call('BLOB.UPLOAD', 0)) as number;
      const given = await client.call('BLOB.UPLOAD.PART', number, part);
      return given === 'OK' ? client.call('BLOB.UPLOAD.END', number) : given;
    };
    expect(await upload('')).toBe(id);
    expect(codeOf(await upload('c'))).toBe('INVALID_ARGUMENT');
  });

  it('whose stats lack what libraries did not always give has it as 0', async () => {
    const gaps = { pendingBytes: undefined, failedGiveBacks: undefined };
    lie.at = 'stats';
    // By way of JSON they are not there at all.
    for (const value of [{ ...STATS, ...gaps }, JSON.parse(JSON.stringify({ ...STATS, ...gaps }))]) {
      lie.value = value;
      for (const name of ['bedrock_pending_bytes', 'bedrock_failed_give_backs', 'bedrock_regions'])
        expect(await figures(name)).toEqual([name === 'bedrock_regions' ? 1 : 0]);
    }
    lie.value = { ...STATS, regions: -1 };
    expect(await figures('bedrock_regions')).toEqual([]);
  });

  it('is told of each byte once that is to be durable', async () => {
    const command = ['BLOB.PERSIST', id, ...Array<number[]>(1000).fill([0, 4]).flat(), 4, 4];
    expect(await client.call(...command)).toBe('OK');
    expect(persisted.ranges).toEqual([{ offset: 0, size: 8 }]);
  });
});
