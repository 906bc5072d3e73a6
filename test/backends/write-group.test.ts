/** Small writes that go to the system together, and an fdatasync that waits for those who come with them. */
import { describe, expect, it } from '@jest/globals';
import { FileMedium } from '../../backends/file/file-medium.js';
import type { FileOperations } from '../../core/index.js';
import { PoolFileIo } from '../../core/pool-file/pool-file-io.js';
import { MAX_GROUPED_WRITE_BYTES, WriteGroup } from '../../core/pool-file/write-group.js';

const SMALL = Buffer.alloc(64);

class Noted {
  readonly calls: string[] = [];
  failure: Error | undefined;
  /** Offset of a write that fails by itself, too. */
  full: number | undefined;
  /** Called when an fdatasync begins. */
  onDatasync = (): unknown => undefined;

  writeMany = (pieces: readonly { offset: number }[]): Promise<void> => {
    this.calls.push(`write ${pieces.map(({ offset }) => offset).join(' ')}`);
    return this.failure === undefined ? Promise.resolve() : Promise.reject(this.failure);
  };

  medium(): FileMedium {
    const file = {
      datasync: () => {
        this.calls.push('datasync');
        this.onDatasync();
        return Promise.resolve();
      },
      write: (_bytes: Uint8Array, _at: number, length: number, offset: number) => {
        this.calls.push(`write alone ${offset}`);
        if (offset === this.full && this.failure !== undefined) return Promise.reject(this.failure);
        return Promise.resolve({ bytesWritten: length });
      },
    } as never;
    const operations = {
      writeMany: (_file: never, pieces: never) => this.writeMany(pieces),
      verify: () => Promise.resolve(),
    };
    const opened = { file, path: 'pool', size: 2 ** 20 };
    const io = new PoolFileIo(opened, operations as unknown as FileOperations);
    return new FileMedium({ io, size: 2 ** 20, sync: true, syncWrites: false });
  }
}

describe('small writes', () => {
  it('of one turn go together, and those of a later turn by themselves', async () => {
    const noted = new Noted();
    const group = new WriteGroup(noted.writeMany);
    await Promise.all([group.write(0, SMALL), group.write(128, SMALL)]);
    await group.write(64, SMALL);
    expect(noted.calls).toEqual(['write 0 128', 'write 64']);
  });

  it('are split into groups that are quickly copied', async () => {
    const noted = new Noted();
    const group = new WriteGroup(noted.writeMany);
    const piece = Buffer.alloc(MAX_GROUPED_WRITE_BYTES);
    const count = 2 ** 20 / MAX_GROUPED_WRITE_BYTES;
    await Promise.all(Array.from({ length: count + 1 }, (_, index) => group.write(index, piece)));
    expect(noted.calls).toHaveLength(2);
    expect(noted.calls[1]).toBe(`write ${count}`);
  });

  it('all fail with their group, and the next group does not', async () => {
    const noted = new Noted();
    noted.failure = new Error('no space');
    const group = new WriteGroup(noted.writeMany);
    const writes = [group.write(0, SMALL), group.write(64, SMALL)];
    for (const write of writes) await expect(write).rejects.toBe(noted.failure);
    noted.failure = undefined;
    await group.write(0, SMALL);
    expect(noted.calls).toEqual(['write 0 64', 'write 0']);
  });
});

describe('durable writes to a file', () => {
  it('at once take one write and one fdatasync', async () => {
    const noted = new Noted();
    const medium = noted.medium();
    await Promise.all([0, 64, 128].map((offset) => medium.writeDurably(offset, SMALL)));
    expect(noted.calls).toEqual(['write 0 64 128', 'datasync']);
  });

  it('that come while an fdatasync may have begun wait for the next one', async () => {
    const noted = new Noted();
    const medium = noted.medium();
    let second: Promise<void> | undefined;
    noted.onDatasync = () => (second ??= medium.writeDurably(64, SMALL));
    await medium.writeDurably(0, SMALL);
    await second;
    expect(noted.calls).toEqual(['write 0', 'datasync', 'write 64', 'datasync']);
  });

  it('go by themselves where they are large', async () => {
    const noted = new Noted();
    await noted.medium().writeDurably(0, Buffer.alloc(MAX_GROUPED_WRITE_BYTES + 1));
    expect(noted.calls).toEqual(['write alone 0', 'datasync']);
  });
});

describe('a write that fails', () => {
  it('costs those that went with it nothing, descriptors of new regions least of all', async () => {
    const noted = new Noted();
    noted.failure = Object.assign(new Error('no space'), { code: 'ENOSPC' });
    noted.full = 64;
    const medium = noted.medium();
    const [full, other, published] = await Promise.allSettled([
      medium.write(64, SMALL),
      medium.writeDurably(0, SMALL),
      medium.publish(128, SMALL),
    ]);
    expect(full).toMatchObject({ status: 'rejected', reason: { code: 'OUT_OF_SPACE' } });
    expect([other.status, published.status]).toEqual(['fulfilled', 'fulfilled']);
    expect(noted.calls).toContain('write alone 128');
    expect(medium.mode).toBe('fdatasync');
  });
});
