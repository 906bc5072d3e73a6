/**
 * A checkpoint of 64 MiB under a name, replaced over and over through a daemon that is killed: who
 * reads it by its name finds one whole checkpoint each time, and after each kill none that is older
 * than the last one acknowledged.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BedrockError, connect, type Service, type Target } from '../../core/index.js';
import { bedrock, killAll, type BedrockProcess } from '../fixtures/bedrock-process.js';

const BYTES = 64 * 2 ** 20;
const PIECE_BYTES = 2 ** 20;
const NAME = 'simulation/state';
const KILLS = 4;

/** Contents that say in each word which checkpoint they are of. */
function* piecesOf(step: number): Generator<Uint8Array> {
  const piece = new Uint8Array(new Uint32Array(PIECE_BYTES / 4).fill(step).buffer);
  for (let at = 0; at < BYTES; at += PIECE_BYTES) yield piece;
}

/** The step of the checkpoint under the name. @throws if it is of several, or not whole */
async function stepOf(service: Service): Promise<number> {
  const target = service.target('store');
  const { id, size } = await target.find(NAME);
  expect(size).toBe(BYTES);
  let step: number | undefined;
  for await (const bytes of target.readStream(id, 0, size)) {
    step ??= Buffer.from(bytes).readUInt32LE(0);
    // Pieces end anywhere: the bytes repeat every four.
    if (Buffer.compare(bytes.subarray(0, -4), bytes.subarray(4)) !== 0) throw new Error('a mixed checkpoint');
  }
  return step as number;
}

/** Whether a call failed because its region or its daemon is gone. */
function isGone(error: unknown): boolean {
  return (
    error instanceof BedrockError && ['REGION_NOT_FOUND', 'UNREACHABLE', 'NOT_READY'].includes(error.code)
  );
}

describe('a checkpoint that is replaced by name while the daemon is killed', () => {
  let folder: string;
  let acknowledged = 0;
  let begun = 0;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'bedrock-checkpoint-'));
    const target = { type: 'file', config: { path: 'store.pool', create_if_missing_with_size: 2 ** 28 } };
    const config = {
      margo: { mercury: { address: 'http://127.0.0.1:0' } },
      providers: [{ name: 'store', type: 'warabi', config: { target } }],
    };
    await writeFile(path.join(folder, 'bedrock.json'), JSON.stringify(config));
  });
  afterAll(async () => {
    await killAll();
    await rm(folder, { recursive: true });
  });

  async function write(target: Target): Promise<void> {
    for (;;) {
      const step = ++begun;
      await target.put(NAME, { size: BYTES, source: piecesOf(step) });
      acknowledged = step;
    }
  }

  async function read(service: Service): Promise<void> {
    for (;;) {
      const least = acknowledged;
      try {
        const step = await stepOf(service);
        expect(step).toBeGreaterThanOrEqual(least);
        expect(step).toBeLessThanOrEqual(begun);
      } catch (error) {
        // The one that it was at was replaced; the name means another one.
        if (!(error instanceof BedrockError) || error.code !== 'REGION_NOT_FOUND') throw error;
        if (least > 0) await service.target('store').find(NAME);
      }
    }
  }

  it('is whole and there for every reader, and after every kill', async () => {
    for (let round = 0; round <= KILLS; round++) {
      const daemon: BedrockProcess = bedrock(['start', '-c', 'bedrock.json'], { cwd: folder });
      const service = await connect(await daemon.address());
      if (round > 0) {
        const step = await stepOf(service);
        expect(step).toBeGreaterThanOrEqual(acknowledged);
        expect(step).toBeLessThanOrEqual(begun);
        expect((await service.target('store').list()).regions).toHaveLength(1);
      }
      if (round === KILLS) {
        await service.close();
        daemon.signal('SIGTERM');
        await daemon.exit;
        break;
      }
      const target = acknowledged + 2 + round;
      const work = [write(service.target('store')), read(service)].map((each) =>
        each.catch((error: unknown) => {
          if (!isGone(error)) throw error;
        }),
      );
      const both = Promise.all(work);
      both.catch(() => undefined);
      // In the midst of the next one.
      const progress = { isOver: false };
      void both.finally(() => (progress.isOver = true)).catch(() => undefined);
      while (acknowledged < target && !progress.isOver) await delay(5);
      daemon.signal('SIGKILL');
      await daemon.exit;
      await both;
      await service.close();
    }
    expect(acknowledged).toBeGreaterThan(KILLS * 2);
  });
});
