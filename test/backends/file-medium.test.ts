/**
 * What the file backend asks of the disk, and when: barriers one at a time, space before anything
 * that names it.
 */
import { describe, expect, it } from '@jest/globals';
import type { FileHandle } from 'node:fs/promises';
import { FileMedium } from '../../backends/file/file-medium.js';
import { PoolFileIo } from '../../core/pool-file/pool-file-io.js';
import { Gate } from '../fixtures/gate.js';

/** A file whose fdatasyncs end when they are told to. */
class SlowFile {
  readonly calls: string[] = [];
  readonly running: (() => void)[] = [];
  most = 0;

  close(): Promise<void> {
    this.calls.push('close');
    return Promise.resolve();
  }

  datasync(): Promise<void> {
    this.calls.push('datasync');
    return new Promise((resolve) => {
      this.running.push(resolve);
      this.most = Math.max(this.most, this.running.length);
    });
  }
}

function mediumOn(file: SlowFile, verify = (): Promise<void> => Promise.resolve()): FileMedium {
  const io = new PoolFileIo(
    { file: file as unknown as FileHandle, path: 'pool', size: 2 ** 20 },
    {
      lock: () => Promise.resolve(),
      allocate: () => Promise.resolve(void file.calls.push('allocate')),
      zero: () => Promise.resolve(void file.calls.push('zero')),
      discard: () => Promise.resolve(void file.calls.push('discard')),
      verify,
    },
  );
  return new FileMedium({ io, size: 2 ** 20, sync: true, syncWrites: false });
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('runs one fdatasync at a time, as the kernel tells a failure to one of them only', async () => {
  const file = new SlowFile();
  const medium = mediumOn(file);
  const first = medium.barrier();
  // Asks as soon as the first has ended, before the one who waits already has its turn.
  const third = first.then(() => medium.barrier());
  const second = medium.barrier();
  for (let left = 3; left > 0; left--) {
    await turn();
    file.running.shift()?.();
  }
  await Promise.all([first, second, third]);
  expect(file.most).toBe(1);
});

it('makes new space durable before anything can name it', async () => {
  const file = new SlowFile();
  const allocated = mediumOn(file).grow(0, 4096);
  await turn();
  file.running.shift()?.();
  await allocated;
  expect(file.calls).toEqual(['discard', 'allocate', 'datasync']);
});

it('closes its file when nobody looks at it any more, as whoever does so keeps its lock', async () => {
  const file = new SlowFile();
  const gate = new Gate();
  gate.shut();
  const medium = mediumOn(file, () => gate.pass());
  const looked = medium.look();
  await gate.arrivals(1);
  const closed = medium.close();
  await turn();
  expect(file.calls).toEqual([]);
  gate.open();
  await Promise.all([looked, closed]);
  expect(file.calls).toEqual(['close']);
});

describe('a short read', () => {
  /** A file whose reads by the thread pool are counted, and whose page cache answers as told. */
  function cachedMedium(readNow: () => boolean | undefined): {
    medium: FileMedium;
    counts: { pool: number; cache: number };
  } {
    const counts = { pool: 0, cache: 0 };
    const file = {
      read: (_into: Uint8Array, _at: number, length: number) => {
        counts.pool++;
        return Promise.resolve({ bytesRead: length });
      },
    };
    const io = new PoolFileIo(
      { file: file as unknown as FileHandle, path: 'pool', size: 2 ** 30 },
      {
        lock: () => Promise.resolve(),
        allocate: () => Promise.resolve(),
        zero: () => Promise.resolve(),
        readNow: () => {
          counts.cache++;
          return readNow();
        },
      },
    );
    return { medium: new FileMedium({ io, size: 2 ** 30, sync: true, syncWrites: false }), counts };
  }

  it('is done at once if the page cache has the bytes', () => {
    const { medium, counts } = cachedMedium(() => true);
    expect(medium.read(0, Buffer.alloc(4096))).toBeUndefined();
    expect(counts).toEqual({ pool: 0, cache: 1 });
  });

  it('goes to the thread pool if it has not, or if it fails there', async () => {
    const answers = [false, new Error('EIO')];
    const { medium, counts } = cachedMedium(() => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    });
    await medium.read(0, Buffer.alloc(4096));
    await medium.read(0, Buffer.alloc(4096));
    expect(counts).toEqual({ pool: 2, cache: 2 });
  });

  it('no longer asks where the file system cannot tell', async () => {
    const { medium, counts } = cachedMedium(() => undefined);
    for (let count = 0; count < 3; count++) await medium.read(0, Buffer.alloc(4096));
    expect(counts).toEqual({ pool: 3, cache: 1 });
  });

  it('is done at once so often, and for so many bytes, that others still get their turn', async () => {
    const { medium, counts } = cachedMedium(() => true);
    for (let count = 0; count < 2050; count++) await medium.read(0, Buffer.alloc(64));
    expect(counts).toEqual({ pool: 2, cache: 2048 });
    const large = Buffer.alloc(2 ** 20);
    for (let count = 0; count < 34; count++) await medium.read(0, large);
    expect(counts.pool).toBe(4);
    await medium.read(0, Buffer.alloc(2 ** 20 + 1));
    expect(counts.pool).toBe(5);
  });
});
