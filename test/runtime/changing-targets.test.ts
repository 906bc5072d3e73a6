/** A provider whose targets change while it runs: both doors serve those that it has now, and the figures of a target go on. */
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Target } from '../../core/index.js';
import { has, made } from '../fixtures/changing-library.js';
import { type RecordingLogger, recordingLogger } from '../fixtures/recording-logger.js';
import { eventually } from '../http/running-daemon.js';
import { codeOf, type RawClient } from '../resp/raw-client.js';
import { closeDoors, RunningDoor } from '../resp/running-door.js';

const LIBRARY = fileURLToPath(new URL('../fixtures/changing-library.ts', import.meta.url));

let door: RunningDoor;
let client: RawClient;
let log: RecordingLogger;
beforeEach(async () => {
  log = recordingLogger();
  door = await RunningDoor.start({
    libraries: [LIBRARY],
    logger: log.logger,
    providers: [
      { name: 'store', type: 'changing' },
      { name: 'other', type: 'warabi', config: { target: { type: 'memory', config: {} } } },
    ],
  });
  client = await door.client();
});
afterEach(closeDoors);

async function get(path: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${door.daemon.address ?? ''}${path}`);
  return { status: response.status, text: await response.text() };
}

const region = (id: string): string => `/v1/providers/store/regions/${id}`;

async function reads(): Promise<number> {
  const { text } = await get('/metrics');
  const [, figure] = /^bedrock_operations_total\{.*operation="read".*\} (\d+)$/m.exec(text) ?? [];
  return Number(figure);
}

/** A region in each of the two. */
async function makeRegions(): Promise<[string, string]> {
  const [first, second] = made as [Target, Target];
  const ids = await Promise.all([first, second].map((target) => target.createAndWrite(Buffer.from('bytes'))));
  return ids.map(String) as [string, string];
}

describe('a provider whose targets change', () => {
  it.each(['', 'store/', 'store.0/'])(
    'has the new ones served (%j), also to who is connected',
    async (prefix) => {
      const [before, after] = await makeRegions();
      expect(await client.call('GETRANGE', `${prefix}${before}`, 0, -1)).toBe('bytes');
      has.targets = () => made.slice(1);
      expect((await get(region(after))).status).toBe(200);
      expect(await client.call('GETRANGE', `${prefix}${after}`, 0, -1)).toBe('bytes');
      expect(codeOf(await client.call('GETRANGE', `${prefix}${before}`, 0, -1))).toBe('REGION_NOT_FOUND');
    },
  );

  it('has the figures of a target go on', async () => {
    const [before, after] = await makeRegions();
    await get(region(before));
    has.targets = () => made.slice(1);
    await get(region(after));
    await client.call('GETRANGE', after, 0, -1);
    expect(await reads()).toBe(3);
  });

  it.each([
    [
      'throws for them',
      (): never => {
        throw new Error('no targets today');
      },
    ],
    ['has something else than a target', (): Target[] => [null as never]],
  ])('and that %s is answered with INTERNAL, and the daemon goes on', async (_what, targets) => {
    const [id] = await makeRegions();
    const sound = has.targets;
    await client.call('GETRANGE', id, 0, -1);
    has.targets = targets;
    expect((await get(region(id))).status).toBe(500);
    expect(codeOf(await client.call('GETRANGE', id, 0, -1))).toBe('INTERNAL');
    has.targets = sound;
    expect(await client.call('GETRANGE', id, 0, -1)).toBe('bytes');
    expect((await get(region(id))).status).toBe(200);
  });
});

it('is not well while a target cannot tell of itself, or was closed', async () => {
  const isReady = async (): Promise<boolean> => (await get('/readyz')).status === 200;
  await eventually(isReady, (is) => is);
  const sound = has.targets;
  for (const [broken, reason] of [
    [throwingFor('stats'), 'not today'],
    [() => [Object.create(made[0] as Target, { state: { value: 'closed' } }) as Target], 'closed'],
  ] as const) {
    has.targets = broken;
    await eventually(isReady, (is) => !is);
    expect(JSON.parse((await get('/readyz?exclude=read_only')).text)).toMatchObject({
      details: {
        failed: [{ provider: 'store', target: 0, reason: expect.stringContaining(reason) as unknown }],
      },
    });
    expect(await client.call('INFO', 'health')).toMatch(
      /^ready:0\r\ntroubles:1\r\ntrouble_0:provider "store"/m,
    );
    expect((await get('/healthz')).status).toBe(200);
    has.targets = sound;
    await eventually(isReady, (is) => is);
  }
  expect(await client.call('INFO', 'health')).toMatch(/^ready:1\r\ntroubles:0\r$/m);
});

/** Throws for one of its members. */
function throwingFor(member: keyof Target): () => readonly Target[] {
  const target = new Proxy(made[0] as Target, {
    get(of, name) {
      if (name === member) throw new Error('not today');
      return Reflect.get(of, name, of) as unknown;
    },
  });
  return () => [target];
}

describe('a provider whose own code fails when it is looked at', () => {
  it.each<[string, () => () => readonly Target[]]>([
    [
      'targets throws',
      () => () => {
        throw new Error('not today');
      },
    ],
    ['targets is no list', () => () => 7 as never],
    ['a target is none', () => () => [null as never]],
    ['state throws', () => throwingFor('state')],
    ['failure throws', () => throwingFor('failure')],
    ['capabilities throws', () => throwingFor('capabilities')],
    ['type throws', () => throwingFor('type')],
    [
      'a state is no text',
      () => () => [Object.create(made[0] as Target, { state: { value: Symbol('open') } }) as Target],
    ],
  ])('as %s costs no other provider its figures, and is shown with the error', async (_what, targets) => {
    await client.call('GETRANGE', `other/${'0'.repeat(32)}`, 0, -1);
    expect((await get('/readyz')).status).toBe(200);
    has.targets = targets();

    const metrics = await get('/metrics');
    expect(metrics.status).toBe(200);
    expect(metrics.text).toMatch(/^bedrock_regions\{provider="other",target="0"\} 0$/m);
    expect(metrics.text).toMatch(/^bedrock_operations_total\{provider="other".*operation="read"\} 1$/m);
    expect(metrics.text).toMatch(/^bedrock_provider_faults_total\{provider="store"\} [1-9]\d*$/m);
    expect(metrics.text).toContain('bedrock_provider_faults_total{provider="other"} 0');
    expect(metrics.text).not.toContain('{provider="store",target');

    for (const query of ['', '?exclude=read_only']) {
      const ready = await get(`/readyz${query}`);
      expect(ready.status).toBe(503);
      expect(JSON.parse(ready.text)).toMatchObject({
        code: 'NOT_READY',
        details: { failed: [{ provider: 'store', reason: expect.any(String) }] },
      });
    }

    const shown = {
      providers: [
        { name: 'store', state: 'running', targets: [], error: expect.any(String) },
        { name: 'other', state: 'running', targets: [{ type: 'memory', state: 'open' }] },
      ],
    };
    expect(JSON.parse((await get('/v1/providers')).text)).toMatchObject(shown);
    expect(JSON.parse((await client.call('BEDROCK.PROVIDERS')) as string)).toMatchObject(shown);

    const lines = log.entries.filter(({ level }) => level === 'error');
    expect(lines).toHaveLength(1);
    has.targets = () => made.slice(0, 1);
    expect((await get('/readyz')).status).toBe(200);
    expect((await get('/metrics')).text).toContain('bedrock_regions{provider="store",target="0"} 0');
  });
});
