/**
 * Arrays that become longer while a call is under way, as those over a resizable buffer can: the
 * call is of the bytes that it was made with. What lies behind them in the pool is another
 * region's.
 */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { rm } from 'node:fs/promises';
import type { Target } from '../../core/index.js';
import { addonState } from '../../native/load.js';
import { poolFolder, poolTarget, type PoolBackend } from './pool-factory.js';

const MIB = 2 ** 20;
const MORE = 256;
const BACKENDS: PoolBackend[] = addonState().attributes === undefined ? ['file'] : ['file', 'pmem'];
/** One that goes with others in one write, one that goes alone, one that goes in pieces. */
const SIZES = [64, 2 ** 15, 6 * MIB];
const OTHERS = Buffer.alloc(MORE, 9);

let home: string;
let target: Target;
beforeEach(async () => {
  home = await poolFolder();
});
afterEach(async () => {
  await target.close();
  await rm(home, { recursive: true });
});

/** The types of this Node's own are older than such buffers. */
interface Growing {
  readonly bytes: Uint8Array;
  grow(): void;
}

function growing(size: number, value: number): Growing {
  const options = { maxByteLength: size + MORE };
  const buffer = Reflect.construct(ArrayBuffer, [size, options]) as ArrayBuffer & {
    resize(size: number): void;
  };
  const bytes = new Uint8Array(buffer).fill(value);
  return {
    bytes,
    grow: () => {
      buffer.resize(size + MORE);
      bytes.fill(7, size);
    },
  };
}

describe.each(BACKENDS)('a target of the type %s', (type) => {
  it.each(SIZES)('keeps to the region with %d bytes that become more', async (size) => {
    const config = { path: 'pool', create_if_missing_with_size: 32 * MIB, alignment: 256 } as const;
    target = await poolTarget(type, config, home);
    await target.open();
    const id = await target.create(Math.ceil(size / 256) * 256);
    // Its neighbour in the pool.
    const other = await target.createAndWrite(OTHERS);

    const given = growing(size, 1);
    const written = target.write(id, 0, given.bytes);
    given.grow();
    await written;
    expect(Buffer.compare(await target.read(other, 0, MORE), OTHERS)).toBe(0);

    const into = growing(size, 0);
    const read = target.readInto(id, 0, into.bytes);
    into.grow();
    await read;
    expect(into.bytes.subarray(0, size).every((byte) => byte === 1)).toBe(true);
    expect(into.bytes.subarray(size).every((byte) => byte === 7)).toBe(true);
  });
});
