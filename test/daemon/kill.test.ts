/** The real daemon under load, killed at any moment: what it had acknowledged is there when it runs again. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, type RegionId, type RemoteTarget } from '../../core/index.js';
import { addonState } from '../../native/load.js';
import { bedrock, killAll } from '../fixtures/bedrock-process.js';

const ROUNDS = 3;
const WORKERS = 8;
const MIB = 2 ** 20;

let home: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-kill-'));
});
afterAll(async () => {
  await killAll();
  await rm(home, { recursive: true, force: true });
});

/** What was acknowledged. An operation that was under way at the kill may have happened or not. */
interface Known {
  /** Contents of each live region; undefined while a write to it is not acknowledged. */
  live: Map<string, Buffer | undefined>;
  erased: Set<string>;
  /** Erases that were not acknowledged. */
  uncertain: Set<string>;
}

/** Works until the daemon is gone. */
async function work(target: RemoteTarget, known: Known, ids: Map<string, RegionId>): Promise<void> {
  for (let step = 0; ; step++) {
    const contents = Buffer.alloc(1 + Math.floor(Math.random() * 20_000), Math.floor(Math.random() * 256));
    const id = await target.createAndWrite(contents, { persist: true });
    const name = id.toString();
    ids.set(name, id);
    known.live.set(name, contents);
    if (step % 3 === 1) {
      known.live.set(name, undefined);
      const changed = Buffer.alloc(contents.length, step);
      await target.write(id, 0, changed, { persist: true });
      known.live.set(name, changed);
    } else if (step % 3 === 2) {
      known.live.delete(name);
      known.uncertain.add(name);
      await target.erase(id);
      known.uncertain.delete(name);
      known.erased.add(name);
    }
  }
}

async function verify(target: RemoteTarget, known: Known, ids: Map<string, RegionId>): Promise<void> {
  for (const [name, contents] of known.live) {
    const id = ids.get(name) as RegionId;
    const { size } = await target.stat(id);
    if (contents === undefined) continue;
    expect(size).toBe(contents.length);
    expect(Buffer.from(await target.read(id, 0, size)).equals(contents)).toBe(true);
  }
  for (const name of known.erased)
    await expect(target.stat(ids.get(name) as RegionId)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
  const listed = new Set((await target.list({ limit: 10_000 })).regions.map(({ id }) => id.toString()));
  for (const name of known.live.keys()) expect(listed.has(name)).toBe(true);
}

const types = addonState().attributes === undefined ? ['file'] : ['file', 'pmem'];

describe.each(types)('a daemon with a %s pool', (type) => {
  it('keeps every acknowledged operation through kill -9', async () => {
    const file = path.join(home, `${type}.json`);
    const config = { path: `${type}.pool`, create_if_missing_with_size: 64 * MIB };
    await writeFile(
      file,
      JSON.stringify({
        margo: { mercury: { address: 'http://127.0.0.1:0' } },
        providers: [{ name: 'store', type: 'warabi', config: { target: { type, config } } }],
      }),
    );
    const known: Known = { live: new Map(), erased: new Set(), uncertain: new Set() };
    const ids = new Map<string, RegionId>();
    for (let round = 0; round <= ROUNDS; round++) {
      const daemon = bedrock(['-c', file]);
      const service = await connect(await daemon.address());
      const target = service.target('store');
      await verify(target, known, ids);
      if (round < ROUNDS) {
        const workers = Array.from({ length: WORKERS }, () => work(target, known, ids));
        setTimeout(() => daemon.signal('SIGKILL'), 200 + Math.random() * 500);
        const ends = await Promise.allSettled(workers);
        for (const end of ends)
          expect(end).toMatchObject({ status: 'rejected', reason: { code: 'UNREACHABLE' } });
      } else {
        daemon.signal('SIGTERM');
      }
      await service.close();
      await daemon.exit;
    }
    expect(known.live.size).toBeGreaterThan(0);
  }, 120_000);
});
