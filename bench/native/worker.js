/**
 * Our side of bench/native.js: reads lines "OPERATION SIZE COUNT", answers each with the
 * nanoseconds an operation took.
 */
import { createInterface } from 'node:readline';
import { mapFile } from 'bedrock-node/native';

const SPAN = 2 ** 25;
const BATCH = 64;
const [, , file] = process.argv;
const source = Buffer.alloc(2 ** 20, 7);
const pairs = new Float64Array(2 * BATCH);
let mapping;
let window;

const OPERATIONS = {
  async create(size) {
    mapping = await mapFile(file, { create: true, size });
    window = mapping.window(0);
    window.fill(0);
  },
  async 'create-for-reference'(size) {
    const other = await mapFile(`${file}.reference`, { create: true, size });
    other.window(0).fill(0);
    await other.close();
  },
  copyPersist(size, times) {
    for (let i = 0, offset = 0; i < times; i++, offset = (offset + size) & (SPAN - 1)) {
      mapping.copyPersist(offset, source, 0, size);
    }
  },
  persist(size, times) {
    for (let i = 0, offset = 0; i < times; i++, offset = (offset + size) & (SPAN - 1)) {
      window[offset] = i;
      mapping.persist(offset, size);
    }
  },
  batch(size, times) {
    const small = source.subarray(0, size);
    for (let i = 0, offset = 0; i < times; i++) {
      for (let j = 0; j < BATCH; j++, offset = (offset + size) & (SPAN - 1)) {
        window.set(small, offset);
        pairs[2 * j] = offset;
        pairs[2 * j + 1] = size;
      }
      mapping.persistRanges(pairs);
    }
  },
  msyncBlocking(size, times) {
    for (let i = 0, offset = 0; i < times; i++, offset = (offset + size) & (SPAN - 1)) {
      window[offset] = i;
      mapping.msyncBlocking(offset, size);
    }
  },
  async msyncAsync(size, times) {
    for (let i = 0, offset = 0; i < times; i++, offset = (offset + size) & (SPAN - 1)) {
      window[offset] = i;
      await mapping.msyncAsync(offset, size);
    }
  },
  async together(size, times) {
    for (let i = 0; i < times; i++) {
      await Promise.all(
        Array.from({ length: BATCH }, (_, j) => mapping.copyPersist((i * BATCH + j) * size, source, 0, size)),
      );
    }
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [operation, size, times] = line.split(' ');
  const start = process.hrtime.bigint();
  await OPERATIONS[operation](Number(size), Number(times));
  console.log(Number(process.hrtime.bigint() - start) / Number(times));
}
await mapping?.close();
