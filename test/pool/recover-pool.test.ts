/** What recovery writes, and what it keeps a damaged pool from doing. */
import { expect, test } from '@jest/globals';
import { BedrockError } from '../../core/base/errors.js';
import { RegionId } from '../../core/contract/region-id.js';
import { crc32c } from '../../core/pool/crc32c.js';
import { formatPool } from '../../core/pool/format.js';
import { recoverPool } from '../../core/pool/recover-pool.js';
import type { RegionPool } from '../../core/pool/region-pool.js';
import { SlotState } from '../../core/targets/slot-table.js';
import { MemoryMedium } from './memory-medium.js';

const CAPACITY = 2 ** 20;

function newPool(): MemoryMedium {
  const medium = new MemoryMedium(new Uint8Array(CAPACITY));
  for (const { offset, bytes } of formatPool({ capacity: CAPACITY, alignment: 4096, createdAt: 1 }))
    medium.write(offset, bytes);
  return medium;
}

test('a header copy is mended by the very bytes of the other one, reserved ones too, so that both stay equal', async () => {
  const medium = newPool();
  const page = medium.bytes.subarray(0, 4096);
  page[100] = 7;
  page.writeUInt32LE(crc32c(page, crc32c(page, 0, 0, 252), 256, 4096), 252);
  medium.bytes.fill(0xee, 4096, 8192);
  await recoverPool(medium, { maxBytes: 0, isReadOnly: false });
  expect(medium.bytes.subarray(4096, 8192).equals(medium.bytes.subarray(0, 4096))).toBe(true);
  const { pool } = await recoverPool(medium, { maxBytes: 0, isReadOnly: false });
  expect(pool.header.capacity).toBe(CAPACITY);
});

test('a pool whose file was cut off does not grow', async () => {
  const open = async (medium: MemoryMedium): Promise<number> =>
    (await recoverPool(medium, { maxBytes: 2 * CAPACITY, isReadOnly: false })).pool.space.capacityBytes;
  const medium = newPool();
  await expect(open(medium)).resolves.toBe(2 * CAPACITY);
  medium.truncate(CAPACITY / 2);
  await expect(open(medium)).resolves.toBe(CAPACITY);
  expect(medium.size).toBe(CAPACITY / 2);
});

test('under headers of a backup space stays unclean when the region that told of their age is erased, and a crash keeps it from being cleared', async () => {
  const medium = newPool();
  const open = async (): Promise<RegionPool> =>
    (await recoverPool(medium, { maxBytes: 0, isReadOnly: false })).pool;
  const headers = Buffer.from(medium.bytes.subarray(0, 8192));
  const pool = await open();
  const made = await pool.allocate(4096);
  medium.write(made.offset, Buffer.alloc(4096, 'secret'));
  await pool.publish(made, 4096, 1);
  medium.write(0, headers);
  const restored = await open();
  const { poolLow, poolHigh } = restored.header;
  const id = RegionId.of(made.slot, restored.table.generation(made.slot), poolLow, poolHigh);
  await restored.unpublish({ id });
  const again = await (await open()).allocate(4096);
  expect(again.offset).toBe(made.offset);
  expect(medium.bytes.subarray(again.offset, again.offset + 4096).equals(Buffer.alloc(4096))).toBe(true);
});

test.each([
  { code: 'EIO', lost: 2048 * 64, why: 'as it may name it' },
  { code: 'OUT_OF_SPACE', lost: 0, why: 'as it was refused, and names none' },
])(
  'a header that failed with $code costs the space of $lost bytes of descriptors, $why',
  async ({ code, lost }) => {
    const medium = newPool();
    const { pool } = await recoverPool(medium, { maxBytes: 0, isReadOnly: false });
    // From here on all space may be written.
    await pool.allocate(4096);
    while (pool.table.count(SlotState.free) > 0) await pool.allocate(0);
    const write = medium.writeDurably.bind(medium);
    medium.writeDurably = (offset, bytes) => {
      if (offset < 8192) throw new BedrockError(code as 'OUT_OF_SPACE', 'as the test has it');
      return write(offset, bytes);
    };
    const attempt = async (): Promise<number> => {
      await expect(async () => pool.allocate(0)).rejects.toMatchObject({ code });
      return pool.space.freeBytes;
    };
    const free = pool.space.freeBytes;
    const left = await attempt();
    expect(free - left).toBe(lost);
    expect(await attempt()).toBe(left);
  },
);
