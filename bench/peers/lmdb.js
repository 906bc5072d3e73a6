/**
 * lmdb, as fast as its users have it: one key of four bytes a value, values as they are. A put resolves when it is flushed, those of
 * a moment in one transaction; without sync when it is visible.
 */
import { open } from 'lmdb';

const SPAN = 2 ** 25;
const MAX_KEYS = 2 ** 13;

export async function openLmdb(folder, options) {
  const db = open({ path: `${folder}/lmdb`, encoding: 'binary', keyEncoding: 'uint32', ...options });
  const source = Buffer.alloc(2 ** 20, 7);
  const keysOf = (size) => Math.min(MAX_KEYS, SPAN / size);
  let held = 0;

  /** Values of one size at a time: what is there of another goes first. */
  const hold = (size) => {
    if (held === size) return;
    db.transactionSync(() => {
      for (let key = 0; key < keysOf(held || size); key++) db.removeSync(key);
      for (let key = 0; key < keysOf(size); key++) db.putSync(key, source.subarray(0, size));
    });
    held = size;
  };
  const putting = (size) => {
    hold(size);
    const bytes = source.subarray(0, size);
    const keys = keysOf(size);
    return (index) => db.put(index % keys, bytes);
  };

  return {
    write: putting,
    writeDurably: putting,
    read(size) {
      hold(size);
      const keys = keysOf(size);
      // Reads are synchronous and give a fresh copy, as a target's do.
      return (index) => db.getBinary(index % keys);
    },
    createAndErase(size) {
      const bytes = source.subarray(0, size);
      let next = MAX_KEYS;
      return async () => {
        const key = next++;
        await db.put(key, bytes);
        await db.remove(key);
      };
    },
    close: () => db.close(),
  };
}
