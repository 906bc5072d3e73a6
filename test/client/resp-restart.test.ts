/** Over the Redis protocol work goes on while a daemon is restarted: nothing that was acknowledged as durable is lost. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  BedrockError,
  bootstrap,
  connect,
  type BedrockConfig,
  type Daemon,
  type RegionId,
  type RemoteTarget,
  type Service,
} from '../../core/index.js';
import { textOf } from '../../core/redis-wire/reply.js';
import { RespConnection } from '../../core/client/resp/resp-connection.js';
import { turns } from '../fixtures/held-time.js';
import { eventually } from '../resp/running-door.js';

const WRITERS = 24;
const READERS = 4;
const SLOT_BYTES = 64;
const LARGE_BYTES = 2 ** 16;

let home: string;
let daemon: Daemon;
let service: Service | undefined;

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-restart-'));
});
afterEach(async () => {
  await service?.close();
  await daemon.close();
  await rm(home, { recursive: true });
});

/** Starts the daemon; connections are cut off when it stops. */
async function start(target: { type: string; config: object }, address = '127.0.0.1:0'): Promise<string> {
  const config: BedrockConfig = {
    bedrock: { drain_timeout_ms: 0, resp: { address } },
    providers: [{ name: 'store', type: 'warabi', config: { target } }],
  };
  daemon = await bootstrap(config, { address: 'http://127.0.0.1:0', logLevel: 'off', directory: home });
  return daemon.config.bedrock?.resp?.address ?? '';
}

async function reach(address: string, connections: number): Promise<RemoteTarget> {
  service = await connect(`resp://${address}`, { connections });
  return service.target('store');
}

async function code(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'OK';
  } catch (error) {
    return error instanceof BedrockError ? error.code : String(error);
  }
}

/** Makes a call again and again while the daemon is away for longer than a call waits for it. @returns the code */
async function insistent(call: () => Promise<unknown>): Promise<string> {
  for (;;) {
    const outcome = await code(call());
    if (outcome !== 'UNREACHABLE') return outcome;
  }
}

describe.each([1, 3])('%i connections to a pool on disk', (connections) => {
  it('lose no durable write that was acknowledged, and reads go on', async () => {
    const pool = { type: 'file', config: { path: 'pool', create_if_missing_with_size: 2 ** 24 } };
    const address = await start(pool);
    const target = await reach(address, connections);
    const id = await target.createAndWrite(Buffer.alloc(WRITERS * SLOT_BYTES + LARGE_BYTES), {
      persist: true,
    });
    let isOver = false;
    const seen = new Set<string>();
    /** How often each of them was told that it was done. */
    const done = { writes: Array<number>(WRITERS).fill(0), reads: Array<number>(READERS).fill(0) };
    /** Waits until each has been told so again. */
    const allGoOn = async (): Promise<void> => {
      const before = [...done.writes, ...done.reads];
      await eventually(
        () => Promise.resolve([...done.writes, ...done.reads]),
        (counts) => counts.every((count, at) => count >= (before[at] as number) + 2),
      );
    };
    /** Writes numbers that grow; what was acknowledged must be there afterwards, or a later one that was tried. */
    const writing = async (writer: number): Promise<[acknowledged: number, tried: number]> => {
      const bytes = Buffer.alloc(8);
      let acknowledged = 0;
      let tried = 0;
      while (!isOver) {
        bytes.writeDoubleLE(++tried);
        const outcome = await insistent(() =>
          target.write(id, writer * SLOT_BYTES, bytes, { persist: true }),
        );
        seen.add(outcome);
        if (outcome !== 'OK') continue;
        acknowledged = tried;
        (done.writes[writer] as number)++;
      }
      return [acknowledged, tried];
    };
    const reading = async (reader: number): Promise<void> => {
      const buffer = Buffer.alloc(LARGE_BYTES);
      for (; !isOver; (done.reads[reader] as number)++)
        expect(await insistent(() => target.readInto(id, WRITERS * SLOT_BYTES, buffer))).toBe('OK');
    };
    const writers = Array.from({ length: WRITERS }, (_, writer) => writing(writer));
    const readers = Array.from({ length: READERS }, (_, reader) => reading(reader));
    const restarted = async (): Promise<void> => {
      for (let restarts = 0; restarts < 2; restarts++) {
        await allGoOn();
        await daemon.close();
        await start(pool, address);
      }
      await allGoOn();
    };
    // A read that fails is told at once.
    await Promise.race([restarted(), Promise.all(readers)]);
    isOver = true;
    const numbers = await Promise.all(writers);
    await Promise.all(readers);
    for (const outcome of seen) expect(['OK', 'OUTCOME_UNKNOWN', 'NOT_READY']).toContain(outcome);
    const local = daemon.target('store');
    for (const [writer, [acknowledged, tried]] of numbers.entries()) {
      const found = Buffer.from(await local.read(id, writer * SLOT_BYTES, 8)).readDoubleLE();
      expect(found).toBeGreaterThanOrEqual(acknowledged);
      expect(found).toBeLessThanOrEqual(tried);
    }
    await local.erase(id);
  });
});

it('regions in memory are gone with the daemon, which is said; the connection comes back', async () => {
  const memory = { type: 'memory', config: {} };
  const address = await start(memory);
  const target = await reach(address, 2);
  const id = await target.createAndWrite(Buffer.from('here'));
  await daemon.close();
  const calls = [
    () => target.read(id, 0, 4),
    () => target.write(id, 0, Buffer.from('gone')),
    () => target.stat(id),
  ].map(insistent);
  await start(memory, address);
  expect(await Promise.all(calls)).toEqual(['REGION_NOT_FOUND', 'REGION_NOT_FOUND', 'REGION_NOT_FOUND']);
  const again = await target.createAndWrite(Buffer.from('again'));
  expect(Buffer.from(await target.read(again, 0, 5)).toString()).toBe('again');
});

describe('several connections', () => {
  it('are opened as there is work for them, and carry large and small calls side by side', async () => {
    const address = await start({ type: 'memory', config: {} });
    const target = await reach(address, 3);
    const bytes = Buffer.alloc(9 * 2 ** 20, 'abcdefg');
    const ids = await Promise.all(Array.from({ length: 4 }, () => target.createAndWrite(bytes)));
    const large = ids.map((id) => target.read(id, 0, bytes.length));
    const small = Array.from({ length: 300 }, (_, at) => target.read(ids[at % 4] as RegionId, at, 7));
    for (const read of await Promise.all(large)) expect(bytes.equals(read)).toBe(true);
    for (const [at, read] of (await Promise.all(small)).entries())
      expect(bytes.subarray(at, at + 7).equals(read)).toBe(true);
    const { accepted } = await figures(address);
    expect(accepted).toBe(3);
  });

  it('leave nothing of uploads that are given up', async () => {
    const address = await start({ type: 'memory', config: {} });
    const target = await reach(address, 3);
    const bytes = Buffer.alloc(3 * 2 ** 20);
    const callers = Array.from({ length: 12 }, () => new AbortController());
    const calls = callers.map(({ signal }) => code(target.createAndWrite(bytes, {}, { signal })));
    // Some have not begun, some are under way, the last may be done.
    for (const [at, caller] of callers.entries()) {
      caller.abort();
      await turns(at);
    }
    await Promise.all(calls);
    // Given up at the very end, one may have been made all the same.
    const local = daemon.target('store');
    await eventually(
      () => local.stats(),
      ({ regions, usedBytes }) => usedBytes === regions * bytes.length,
    );
  });
});

/** What the daemon counts of its connections. */
async function figures(address: string): Promise<{ accepted: number }> {
  const [host = '', port] = address.split(':');
  const connection = await RespConnection.open({ host, port: Number(port) });
  const info = textOf(await connection.send(['INFO']));
  await connection.close();
  // Without the one that asks.
  return { accepted: Number(/total_connections_received:(\d+)/.exec(info)?.[1]) - 1 };
}
