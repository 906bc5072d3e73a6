/** Large bodies in both directions, whole and byte by byte the same. */
import { createHash, randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { counters, gates, openGates } from '../fixtures/gated-library.js';
import { isThorough } from '../fixtures/thoroughness.js';
import { RawConnection, head } from './raw-connection.js';
import {
  closeDaemons,
  eventually,
  gatedStore,
  memoryStore,
  runDaemon,
  type RunningDaemon,
} from './running-daemon.js';

const MIB = 2 ** 20;
/** Far more than the system has on the way; the long test has more. */
const LARGE_BYTES = (isThorough ? 64 : 16) * MIB;
const REGIONS = '/v1/providers/store/regions';

let daemon: RunningDaemon;

beforeAll(async () => {
  daemon = await runDaemon({ gated: true, providers: [memoryStore('store', 42), gatedStore('gated', 7)] });
});
afterEach(openGates);
afterAll(closeDaemons);

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The bytes in pieces of changing sizes. */
function piecesOf(bytes: Buffer): Readable {
  return Readable.from(
    (function* () {
      for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7) % 200_003) {
        yield bytes.subarray(at, at + size);
      }
    })(),
  );
}

describe('large bodies', () => {
  const bytes = randomBytes(LARGE_BYTES);
  let place: string;

  afterAll(async () => {
    await daemon.call('DELETE', place);
  });

  it('come and go by node:http, with their length announced', async () => {
    place = await new Promise<string>((resolve, reject) => {
      const upload = httpRequest(
        `${daemon.url}${REGIONS}`,
        { method: 'POST', headers: { 'content-length': bytes.length } },
        (response) => {
          response.resume();
          resolve(String(response.headers.location));
        },
      );
      upload.on('error', reject);
      pipeline(piecesOf(bytes), upload).catch(reject);
    });
    const received = await new Promise<string>((resolve, reject) => {
      const download = httpRequest(`${daemon.url}${place}`, (response) => {
        const hash = createHash('sha256');
        response.on('data', (piece: Buffer) => hash.update(piece));
        response.on('end', () => resolve(hash.digest('hex')));
        response.on('error', reject);
      });
      download.on('error', reject);
      download.end();
    });
    expect(received).toBe(digest(bytes));
  });

  it('come in chunks, with ?size=, and durable', async () => {
    const answer = await daemon.call('POST', `${REGIONS}?size=${bytes.length}&persist=true`, {
      body: piecesOf(bytes),
    });
    expect(answer.status).toBe(201);
    const { bytes: received } = await daemon.call('GET', String(answer.headers.location));
    expect(received.equals(bytes)).toBe(true);
    await daemon.call('DELETE', String(answer.headers.location));
  });

  it('are overwritten in part by a PUT at an offset', async () => {
    const part = randomBytes(5 * MIB + 17);
    const offset = 7 * MIB + 5;
    const answer = await daemon.call('PUT', `${place}?offset=${offset}&size=${part.length}&persist=true`, {
      body: piecesOf(part),
    });
    expect(answer.status).toBe(204);
    part.copy(bytes, offset);
    const { bytes: received } = await daemon.call('GET', place);
    expect(digest(received)).toBe(digest(bytes));
  });
});

describe('sizes around those of the pieces', () => {
  it.each([1, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 524_287, 524_288, 524_289, MIB + 1])(
    '%i bytes come and go whole',
    async (size) => {
      const bytes = randomBytes(size);
      for (const provider of ['store', 'gated']) {
        const place = await daemon.regionOf(bytes, provider);
        expect((await daemon.call('GET', place)).bytes.equals(bytes)).toBe(true);
        expect((await daemon.call('DELETE', place)).status).toBe(204);
      }
    },
  );
});

describe('many transfers at once', () => {
  it('do not mix', async () => {
    const contents = Array.from({ length: 16 }, () => randomBytes(MIB + 1));
    const places = await Promise.all(contents.map((bytes) => daemon.regionOf(bytes, 'gated')));
    const received = await Promise.all(places.map((place) => daemon.call('GET', place)));
    received.forEach(({ bytes }, index) => expect(digest(bytes)).toBe(digest(contents[index] ?? bytes)));
    await Promise.all(places.map((place) => daemon.call('DELETE', place)));
    expect(await daemon.stats('gated')).toMatchObject({ regions: 0, usedBytes: 0 });
  });
});

describe('a region that is erased', () => {
  it('while it is downloaded breaks the connection, and the daemon lives', async () => {
    const place = await daemon.regionOf(Buffer.alloc(2 * LARGE_BYTES, 1), 'gated');
    const connection = await RawConnection.open(daemon.port);
    connection.socket.pause();
    const before = counters.bytesRead;
    connection.send(head(`GET ${place}`));
    await eventually(
      () => counters.bytesRead - before,
      (bytes) => bytes > 0,
    );
    expect((await daemon.call('DELETE', place)).status).toBe(204);
    connection.socket.resume();
    await connection.closed();
    expect(connection.unread).toMatch(/^HTTP\/1.1 200 /);
    expect(connection.unread.length).toBeLessThan(2 * LARGE_BYTES);
    expect((await daemon.call('GET', '/healthz')).status).toBe(200);
    expect(
      await eventually(
        () => daemon.stats('gated'),
        ({ regions }) => regions === 0,
      ),
    ).toMatchObject({
      usedBytes: 0,
    });
  });

  it('while it is overwritten fails the upload with REGION_NOT_FOUND, which the client gets to read', async () => {
    const place = await daemon.regionOf(Buffer.alloc(LARGE_BYTES), 'gated');
    gates.write.shut();
    const upload = daemon.call('PUT', place, { body: Buffer.alloc(LARGE_BYTES, 1) });
    await gates.write.arrivals(1);
    expect((await daemon.call('DELETE', place)).status).toBe(204);
    gates.write.open();
    const answer = await upload;
    expect([answer.status, answer.code]).toEqual([404, 'REGION_NOT_FOUND']);
    expect(await daemon.stats('gated')).toMatchObject({ regions: 0, usedBytes: 0 });
  });
});
