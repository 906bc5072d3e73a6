/**
 * lmdb, as fast as its users have it: keys of four bytes, or names, and values as they are. A put
 * resolves when it is flushed, those of a moment in one transaction; without sync when it is
 * visible.
 */
import { open } from 'lmdb';
import { TOGETHER, allKeys, keysOf, sourceBytes, valuesOf } from './values.js';

const MAX_KEYS = 2 ** 13;

/** @param isNamed keys are names, `names` of them, and not numbers */
export async function openLmdb(folder, { isNamed = false, names, ...options } = {}) {
  const keyEncoding = isNamed ? undefined : 'uint32';
  const db = open({ path: `${folder}/lmdb`, encoding: 'binary', keyEncoding, ...options });
  const keys = allKeys({ isNamed, names }, (number) => number);
  let held = 0;

  /** Values of one size at a time: what is there of another goes first. @returns how many they are */
  const hold = (size) => {
    const count = Math.min(keys.length, keysOf(size));
    if (held === size) return count;
    held = size;
    db.transactionSync(() => {
      for (const key of keys) db.removeSync(key);
      for (const key of keys.slice(0, count)) db.putSync(key, sourceBytes(size));
    });
    return count;
  };
  const putting = (size) => {
    const count = hold(size);
    const value = valuesOf(size, { isNamed });
    return (index) => db.put(keys[index % count], value());
  };

  const reading = (size) => {
    const count = hold(size);
    // Reads are synchronous and give a fresh copy, as a target's do.
    return (index) => db.getBinary(keys[index % count]);
  };

  return {
    write: putting,
    writeDurably: putting,
    read: reading,
    // Nothing here tells where a value lies, so that a copy is the least.
    find: reading,
    map: reading,
    writeTogether(size) {
      const count = hold(size);
      const value = valuesOf(size, { isNamed });
      return (index) =>
        db.batch(() => {
          for (let each = 0; each < TOGETHER; each++)
            db.put(keys[(index * TOGETHER + each) % count], value());
        });
    },
    walk(size) {
      hold(size);
      return () => {
        let pairs = 0;
        for (const { value } of db.getRange()) pairs += value.length === size ? 1 : 0;
        return pairs;
      };
    },
    createAndErase(size) {
      const bytes = sourceBytes(size);
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
