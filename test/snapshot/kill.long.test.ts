/**
 * The daemon is killed at the steps of a snapshot, and of a restore: the source is as it was, what
 * is not complete says so, and one more call ends it. Of steps that come often a sample is taken.
 */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { connect, type Service, verifySnapshot } from '../../core/index.js';
import { bedrock, type BedrockProcess, killAll } from '../fixtures/bedrock-process.js';
import { failingSystem, type Failures } from '../fixtures/failing-system.js';
import { needs } from '../fixtures/needs.js';
import { codeOf, contentsOf, fill } from '../warabi/migration-daemons.js';

const system = failingSystem();
const withCompiler = needs('a C compiler', system !== undefined);
const SIGNAL = new AbortController().signal;
let home: string;
let config: string;
let before: Record<string, object>;

const at = (name: string): string => path.join(home, name);

interface Running {
  readonly daemon: BedrockProcess;
  readonly service: Service;
}

async function start(kill?: Failures['kill']): Promise<Running | undefined> {
  const env = kill === undefined ? {} : (system?.env({ kill }) ?? {});
  const daemon = bedrock(['-c', config], { env });
  try {
    return { daemon, service: await connect(await daemon.address()) };
  } catch (error) {
    // It was killed at its start.
    if (kill === undefined || (await daemon.exit).signal !== 'SIGKILL') throw error;
    return undefined;
  }
}

async function stop({ daemon, service }: Running): Promise<void> {
  await service.close();
  daemon.signal('SIGTERM');
  await daemon.exit;
}

/** @returns whether the daemon was killed in the middle of the work */
async function killed(
  kill: Failures['kill'],
  work: (service: Service) => Promise<unknown>,
): Promise<boolean> {
  const running = await start(kill);
  if (running === undefined) return true;
  const code = await codeOf(work(running.service));
  if (code === undefined) {
    await stop(running);
    return false;
  }
  expect((await running.daemon.exit).signal).toBe('SIGKILL');
  await running.service.close();
  return true;
}

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-snapshot-kill-'));
  config = at('bedrock.json');
  const store = (name: string): object => ({
    name,
    type: 'warabi',
    config: {
      target: { type: 'file', config: { path: `${name}.pool`, create_if_missing_with_size: 2 ** 23 } },
    },
  });
  const margo = { mercury: { address: 'http://127.0.0.1:0' } };
  await writeFile(config, JSON.stringify({ margo, providers: [store('from'), store('to')] }));
  const running = (await start()) as Running;
  await fill(running.service.target('from'), 2 ** 20);
  before = await contentsOf(running.service.target('from'));
  await running.service.provider('from').snapshot({ path: at('earlier') });
  await running.service.target('from').put('since', Buffer.from('the earlier one'));
  before = await contentsOf(running.service.target('from'));
  await running.service.provider('from').snapshot({ path: at('sound') });
  await stop(running);
  await cp(at('to.pool'), at('empty.pool'));
});
afterAll(async () => {
  await killAll();
  await rm(home, { recursive: true, force: true });
  system?.dispose();
});

for (const [kind, options] of [
  ['a snapshot', {}],
  ['an incremental snapshot', { incremental: 'earlier' }],
] as const)
  for (const [call, stride] of [
    ['pwrite', 3],
    ['fsync', 3],
    ['link', 1],
    ['rename', 1],
    ['unlink', 1],
  ] as const)
    withCompiler.it(
      `${kind} outlives a kill instead of ${stride === 1 ? 'each' : 'one in 3 of'} ${call}`,
      async () => {
        for (let nth = 1; ; nth += stride) {
          const folder = at('killed');
          await rm(folder, { recursive: true, force: true });
          const request = {
            path: folder,
            options: 'incremental' in options ? { incremental: at(options.incremental) } : {},
          };
          const take = (service: Service): Promise<unknown> => service.provider('from').snapshot(request);
          const wasKilled = await killed({ call, nth, within: folder }, take);
          const found = await codeOf(verifySnapshot(folder, { signal: SIGNAL }));
          // NOT_FOUND: nothing of it was there yet.
          expect([undefined, 'SNAPSHOT_INCOMPLETE', 'NOT_FOUND']).toContain(found);
          const running = (await start()) as Running;
          expect(await contentsOf(running.service.target('from'))).toEqual(before);
          expect(await codeOf(take(running.service))).toBe(found === undefined ? 'CONFLICT' : undefined);
          await stop(running);
          expect((await verifySnapshot(folder, { signal: SIGNAL })).faults).toEqual([]);
          if (!wasKilled) return;
        }
      },
    );

withCompiler.it('a restore outlives a kill instead of some of the steps that make it durable', async () => {
  for (let nth = 1; ; nth += 6) {
    await cp(at('empty.pool'), at('to.pool'));
    const bring = (service: Service): Promise<unknown> =>
      service.provider('to').restore({ path: at('sound') });
    const wasKilled = await killed({ call: 'fdatasync', nth, within: at('to.pool') }, bring);
    const running = (await start()) as Running;
    const to = running.service.target('to');
    const code = await codeOf(to.list());
    if (code !== 'NOT_READY') {
      // It had not begun, or was complete.
      const { regions } = await to.list();
      expect([0, Object.keys(before).length]).toContain(regions.length);
      expect(await codeOf(bring(running.service))).toBe(regions.length > 0 ? 'TARGET_NOT_EMPTY' : undefined);
    } else await bring(running.service);
    expect(await contentsOf(running.service.target('to'))).toEqual(before);
    await stop(running);
    if (!wasKilled) return;
  }
});
