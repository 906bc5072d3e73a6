/**
 * Several daemons on one cluster, against a model of what each call has answered; and what is left when OSDs or daemons are killed under
 * load: nothing that was acknowledged is lost or doubled.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Objects } from '../../backends/rados/cluster.js';
import type { RadosTarget } from '../../backends/rados/rados-target.js';
import { BedrockError, connect, RegionId, type RegionStat, type Target } from '../../core/index.js';
import { bedrock, killAll } from '../fixtures/bedrock-process.js';
import { ceph, TestCluster } from './cluster.js';

let cluster: TestCluster;

const codeOf = (error: unknown): string => (error instanceof BedrockError ? error.code : String(error));

async function listAll(target: Target): Promise<RegionStat[]> {
  const all: RegionStat[] = [];
  let after: RegionId | undefined;
  do {
    const page = await target.list({ ...(after && { after }) });
    all.push(...page.regions);
    after = page.next;
  } while (after !== undefined);
  return all;
}

/** Contents that say what they are of: no other text has the same bytes. */
function contentsOf(text: string, size: number): Buffer {
  return Buffer.alloc(size, `${text};`);
}

/** Two targets over one namespace, each with a connection of its own. */
async function twoDaemons(): Promise<[RadosTarget, RadosTarget]> {
  const { namespace } = cluster.settings();
  const both = [cluster.target({ namespace }), cluster.target({ namespace, op_timeout_ms: 61_000 })] as const;
  for (const target of both) await target.open();
  return [...both];
}

async function inUse(targets: readonly Target[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    for (const target of targets) await target.close();
  }
}

/** The objects of a namespace that belong to regions. */
async function objectsIn(namespace: string): Promise<string[]> {
  const objects = await Objects.open(cluster.settings({ namespace }));
  try {
    const found: string[] = [];
    for await (const names of objects.list()) found.push(...names);
    return found.filter((name) => name.startsWith('r'));
  } finally {
    await objects.close();
  }
}

ceph.describe('a cluster of daemons', () => {
  beforeAll(async () => {
    cluster = await TestCluster.start();
  }, 200_000);
  afterAll(async () => {
    await killAll();
    await cluster.stop();
  }, 100_000);

  describe('two daemons', () => {
    it('see at once what the other one does', async () => {
      const [one, other] = await twoDaemons();
      await inUse([one, other], async () => {
        for (let round = 0; round < 10; round++) {
          const id = await one.createAndWrite(contentsOf(`made ${round}`, 100), { name: `name ${round}` });
          expect(Buffer.from(await other.read(id, 0, 100))).toEqual(contentsOf(`made ${round}`, 100));
          await other.write(id, 0, contentsOf(`changed ${round}`, 50));
          expect(Buffer.from(await one.read(`name ${round}`, 0, 50))).toEqual(
            contentsOf(`changed ${round}`, 50),
          );
          await other.put(`name ${round}`, contentsOf(`put ${round}`, 10));
          await expect(one.read(id, 0, 1)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
          expect((await one.stat(`name ${round}`)).size).toBe(10);
          await one.erase(`name ${round}`);
          const late = Buffer.from('late');
          for (const call of [
            () => other.stat(`name ${round}`),
            () => other.find(`name ${round}`),
            () => other.write(id, 0, late),
          ])
            await expect(call()).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
        }
        expect(await other.stats()).toMatchObject({ regions: 0, usedBytes: 0 });
      });
      expect(await objectsIn(one['config'].namespace)).toEqual([]);
    });

    it('race with creations, erasures, puts and renames, and end as the answers say', async () => {
      const [one, other] = await twoDaemons();
      await inUse([one, other], async () => {
        /** Every region that was made, and how often an erasure or a replacement of it was acknowledged. */
        const made = new Map<string, { id: RegionId; contents: Buffer }>();
        const erasures = new Map<string, number>();
        const names = ['a', 'b', 'c'];
        const pool: RegionId[] = [];
        let state = 7;
        const random = (below: number): number => {
          state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
          return Math.floor((state / 2 ** 32) * below);
        };
        const note = (id: RegionId, contents: Buffer): void => {
          expect(made.has(String(id))).toBe(false);
          made.set(String(id), { id, contents });
          pool.push(id);
        };
        const worker = async (target: Target, number: number): Promise<void> => {
          for (let round = 0; round < 25; round++) {
            const contents = contentsOf(`${number}.${round}`, 20 + random(100));
            const name = names[random(3)] as string;
            const victim = pool[random(pool.length)];
            try {
              const what = random(5);
              if (what === 0) note(await target.createAndWrite(contents), contents);
              else if (what === 1) note(await target.put(name, contents), contents);
              else if (what === 2) note(await target.createAndWrite(contents, { name }), contents);
              else if (what === 3 && victim !== undefined) {
                await target.erase(victim);
                erasures.set(String(victim), (erasures.get(String(victim)) ?? 0) + 1);
              } else if (victim !== undefined)
                await target.rename(victim, name, { replace: random(2) === 0 });
            } catch (error) {
              expect(['REGION_NOT_FOUND', 'NAME_TAKEN']).toContain(codeOf(error));
            }
          }
        };
        await Promise.all(
          Array.from({ length: 8 }, (_, number) => worker(number % 2 === 0 ? one : other, number)),
        );
        // Who was erased by an answer is gone, once; who is gone without was replaced under a name.
        for (const [id, times] of erasures) expect([id, times]).toEqual([id, 1]);
        const left = await listAll(one);
        expect((await listAll(other)).map(({ id }) => String(id))).toEqual(left.map(({ id }) => String(id)));
        const live = new Set(left.map(({ id }) => String(id)));
        for (const { id, contents } of made.values()) {
          if (live.has(String(id))) {
            expect(erasures.has(String(id))).toBe(false);
            for (const target of [one, other])
              expect(Buffer.from(await target.read(id, 0, contents.length))).toEqual(contents);
          } else
            for (const target of [one, other])
              await expect(target.read(id, 0, 1)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
        }
        for (const id of live) expect(made.has(id)).toBe(true);
        const named = left.filter(({ name }) => name !== undefined);
        expect(new Set(named.map(({ name }) => name)).size).toBe(named.length);
        for (const { name = '', id } of named) expect(String((await other.find(name)).id)).toBe(String(id));
        expect((await one.names()).names).toHaveLength(named.length);
        const bytes = left.reduce((sum, { size }) => sum + size, 0);
        for (const target of [one, other])
          expect(await target.stats()).toMatchObject({ regions: left.length, usedBytes: bytes });
        expect(new Set(await objectsIn(one['config'].namespace)).size).toBe(left.length);
      });
    });

    it('count by conditional puts, each increment once', async () => {
      const [one, other] = await twoDaemons();
      await inUse([one, other], async () => {
        await one.put('count', Buffer.from('0'));
        const increment = async (target: Target): Promise<void> => {
          for (;;) {
            const { id, size } = await target.find('count');
            try {
              const count = Number(Buffer.from(await target.read(id, 0, size)).toString());
              await target.put('count', Buffer.from(String(count + 1)), { if: id });
              return;
            } catch (error) {
              expect(['CONDITION_FAILED', 'REGION_NOT_FOUND']).toContain(codeOf(error));
            }
          }
        };
        const worker = async (target: Target): Promise<void> => {
          for (let round = 0; round < 15; round++) await increment(target);
        };
        await Promise.all([one, other, one, other].map(worker));
        expect(Buffer.from(await one.read('count', 0, 2)).toString()).toBe('60');
      });
    });
  });

  it('ends what a daemon had begun that was killed, and loses nothing that it had acknowledged', async () => {
    const { namespace } = cluster.settings();
    const config = {
      pool: 'regions',
      namespace,
      conf: cluster.conf,
      client: 'client.regions',
      stripe_bytes: 16_384,
    };
    const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-rados-'));
    const acknowledged = new Map<string, Buffer>();
    const erased: RegionId[] = [];
    try {
      const file = path.join(folder, 'bedrock.json');
      const provider = { name: 'store', type: 'warabi', config: { target: { type: 'rados', config } } };
      await writeFile(
        file,
        JSON.stringify({ margo: { mercury: { address: 'http://127.0.0.1:0' } }, providers: [provider] }),
      );
      const killed = bedrock(['-c', file], { cwd: folder });
      const service = await connect(await killed.address());
      const remote = service.target('store');
      const worker = async (number: number): Promise<void> => {
        for (let round = 0; ; round++) {
          const contents = contentsOf(`${number}.${round}`, round % 3 === 0 ? 60_000 : 500);
          try {
            const id = await remote.createAndWrite(contents, { persist: true });
            if (round % 4 === 3) {
              await remote.erase(id);
              erased.push(id);
            } else acknowledged.set(String(id), contents);
          } catch {
            return;
          }
        }
      };
      const work = Promise.all(Array.from({ length: 8 }, (_, number) => worker(number)));
      while (acknowledged.size < 60) await delay(20);
      killed.signal('SIGKILL');
      await killed.exit;
      await work;
      await service.close().catch(() => undefined);
    } finally {
      await rm(folder, { recursive: true });
    }
    // It takes the dead one out after a second, and clears up after it.
    const survivor = cluster.target({ namespace, stripe_bytes: 16_384 }, 1000);
    await survivor.open();
    await inUse([survivor], async () => {
      const check = async (): Promise<void> => {
        const left = await listAll(survivor);
        const live = new Set(left.map(({ id }) => String(id)));
        for (const id of acknowledged.keys()) expect(live.has(id)).toBe(true);
        for (const { id, size } of left) {
          const contents = Buffer.from(await survivor.read(id, 0, size));
          // What was not acknowledged is there as a whole.
          const [text = ''] = contents.toString('latin1').split(';');
          expect(contents.equals(acknowledged.get(String(id)) ?? contentsOf(text, size))).toBe(true);
        }
        for (const id of erased)
          await expect(survivor.stat(id)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
        const bytes = left.reduce((sum, { size }) => sum + size, 0);
        expect(await survivor.stats()).toMatchObject({ regions: left.length, usedBytes: bytes });
      };
      await check();
      const stripesOf = ({ size }: RegionStat): number => Math.max(1, Math.ceil(size / 16_384));
      let [found, expected] = [-1, 0];
      for (let attempt = 0; attempt < 600 && found !== expected; attempt++) {
        await delay(100);
        found = (await objectsIn(namespace)).length;
        expected = (await listAll(survivor)).reduce((sum, region) => sum + stripesOf(region), 0);
      }
      expect(found).toBe(expected);
      await check();
      // IDs of a run that was killed are not given again.
      const given = new Set([...acknowledged.keys(), ...erased.map(String)]);
      for (let count = 0; count < 200; count++) {
        const id = String(await survivor.create(8));
        expect(given.has(id)).toBe(false);
        given.add(id);
      }
    });
  });

  it('serves behind a read cache, as backend-tiered is', async () => {
    const { namespace } = cluster.settings();
    const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-rados-'));
    try {
      const rados = { pool: 'regions', namespace, conf: cluster.conf, client: 'client.regions' };
      const file = path.join(folder, 'bedrock.json');
      const warabi = (name: string, type: string, config: object, more = {}): object => {
        return { name, type: 'warabi', ...more, config: { target: { type, config } } };
      };
      await writeFile(
        file,
        JSON.stringify({
          libraries: [path.resolve(import.meta.dirname, '../../examples/backend-tiered/index.js')],
          margo: { mercury: { address: 'http://127.0.0.1:0' } },
          providers: [
            warabi('fast', 'memory', {}),
            warabi('slow', 'rados', rados),
            warabi(
              'store',
              'tiered',
              { cache_bytes: 2 ** 20 },
              { dependencies: { cache: 'fast', store: 'slow' } },
            ),
          ],
        }),
      );
      const daemon = bedrock(['-c', file], { cwd: folder });
      const service = await connect(await daemon.address());
      const [cached, plain] = [service.target('store'), service.target('slow')];
      const id = await cached.createAndWrite(contentsOf('first', 10_000), { name: 'name' });
      for (let round = 0; round < 3; round++)
        expect(Buffer.from(await cached.read(id, 100, 1000))).toEqual(
          contentsOf('first', 10_000).subarray(100, 1100),
        );
      // The blocks are in the memory of the daemon.
      expect((await service.target('fast').stats()).regions).toBeGreaterThan(0);
      expect(String((await plain.find('name')).id)).toBe(String(id));
      await cached.put('name', contentsOf('second', 500));
      expect(Buffer.from(await cached.read('name', 0, 500))).toEqual(contentsOf('second', 500));
      await expect(cached.read(id, 0, 1)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
      expect(await plain.stats()).toMatchObject({ regions: 1, usedBytes: 500 });
      const metrics = await (await fetch(`${await daemon.address()}/metrics`)).text();
      expect(metrics).toMatch(/rados_osds_up\{[^}]*\} 3/);
      await service.close();
      daemon.signal('SIGTERM');
      expect(await daemon.exit).toMatchObject({ status: 0 });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('is what bedrock doctor checks', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-rados-'));
    try {
      const config = { pool: 'regions', conf: cluster.conf, client: 'client.regions' };
      const file = path.join(folder, 'bedrock.json');
      const doctor = async (target: object): Promise<string> => {
        const provider = {
          name: 'store',
          type: 'warabi',
          config: { target: { type: 'rados', config: target } },
        };
        await writeFile(file, JSON.stringify({ providers: [provider] }));
        return (await bedrock(['doctor', '-c', file], { cwd: folder }).exit).stdout;
      };
      const found = await doctor(config);
      expect(found).toMatch(/store: copies.*3 of each object, at least 2 to serve/);
      expect(found).toMatch(/store: cluster.*3 of 3 OSDs run/);
      await cluster.command('osd', 'pool', 'create', 'single', '4', '4', 'replicated');
      await cluster.command('osd', 'pool', 'set', 'single', 'size', '1', '--yes-i-really-mean-it');
      expect(await doctor({ pool: 'single', conf: cluster.conf })).toMatch(
        /store: copies.*1 of each object, at least 1 to serve/,
      );
      expect(await doctor({ ...config, pool: 'nowhere' })).toMatch(/pool "nowhere"/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('keeps what was acknowledged while OSDs are killed and come back, and says when it cannot serve', async () => {
    const [one, other] = await twoDaemons();
    await inUse([one, other], async () => {
      const regions: { id: RegionId; tried: number; acknowledged: number }[] = [];
      for (let at = 0; at < 6; at++) regions.push({ id: await one.create(64), tried: 0, acknowledged: 0 });
      const created = new Map<string, Buffer>();
      let worst = 0;
      let calls = 0;
      let isOver = false;
      const timed = async <T>(call: Promise<T>): Promise<T> => {
        const begun = performance.now();
        try {
          return await call;
        } finally {
          calls++;
          worst = Math.max(worst, performance.now() - begun);
        }
      };
      const writer = async (target: Target, region: (typeof regions)[number]): Promise<void> => {
        while (!isOver) {
          const number = ++region.tried;
          await timed(
            target.write(region.id, 0, contentsOf(String(number).padStart(8), 64), { persist: true }),
          );
          region.acknowledged = number;
          const contents = contentsOf(`${String(region.id)} ${number}`, 3000);
          created.set(String(await timed(target.createAndWrite(contents))), contents);
          await timed(target.put(`last ${String(region.id)}`, contents));
        }
      };
      const work = Promise.all(regions.map((region, at) => writer(at % 2 === 0 ? one : other, region)));
      for (const osd of ['osd.0', 'osd.1', 'osd.2']) {
        await delay(1000);
        await cluster.kill(osd);
        await delay(6000);
        await cluster.revive(osd);
        await up(3);
      }
      isOver = true;
      await work;
      process.stderr.write(`worst stall of ${calls} calls while OSDs were killed: ${Math.round(worst)} ms\n`);
      for (const { id, acknowledged } of regions) {
        expect(acknowledged).toBeGreaterThan(3);
        const [text = ''] = Buffer.from(await other.read(id, 0, 64))
          .toString()
          .split(';');
        expect(Number(text)).toBe(acknowledged);
      }
      for (const [id, contents] of created) {
        expect(Buffer.from(await one.read(RegionId.parse(id), 0, contents.length)).equals(contents)).toBe(
          true,
        );
      }
      const left = await listAll(other);
      expect(left).toHaveLength(2 * regions.length + created.size);
      expect(await one.stats()).toMatchObject({ regions: left.length });
    });
  });

  it('answers OVERLOADED in bounded time below min_size, and serves again', async () => {
    const target = cluster.target({ op_timeout_ms: 2000 });
    await target.open();
    await inUse([target], async () => {
      const id = await target.createAndWrite(Buffer.from('before'));
      await cluster.kill('osd.1');
      await cluster.kill('osd.2');
      // Until the monitors know, an operation waits for the dead.
      const begun = performance.now();
      const codes = await Promise.all(
        [
          target.write(id, 0, Buffer.from('during')),
          target.create(10),
          target.put('name', Buffer.from('put')),
        ].map((call) => call.then(() => 'done', codeOf)),
      );
      expect(codes).toEqual(['OVERLOADED', 'OVERLOADED', 'OVERLOADED']);
      expect(performance.now() - begun).toBeLessThan(60_000);
      await cluster.revive('osd.1');
      await cluster.revive('osd.2');
      await up(3);
      for (;;) {
        const code = await target.write(id, 0, Buffer.from('after!')).then(() => 'done', codeOf);
        if (code === 'done') break;
        expect(code).toBe('OVERLOADED');
      }
      expect(Buffer.from(await target.read(id, 0, 6)).toString()).toBe('after!');
      // Each was made as a whole, or not at all; the count knows which.
      const made = await target.put('name', Buffer.from('again'));
      const left = await listAll(target);
      expect(left.map((region) => String(region.id))).toEqual(
        expect.arrayContaining([String(id), String(made)]),
      );
      expect(await target.stats()).toMatchObject({ regions: left.length });
    });
  });
});

async function up(osds: number): Promise<void> {
  while (!(await cluster.command('osd', 'stat')).includes(`${osds} up`)) await delay(300);
}
