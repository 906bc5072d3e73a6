/** classic-level: the puts of a turn in one batch, durable by `sync`. */
import { ClassicLevel } from 'classic-level';
import { perTurn } from './per-turn.js';
import { TOGETHER, allKeys, keysOf, sourceBytes, valuesOf } from './values.js';

/** @param isNamed keys are names, `names` of them, and not numbers */
export async function openLevel(folder, { isSynced, isNamed = false, names }) {
  const keyEncoding = isNamed ? 'utf8' : 'buffer';
  const db = new ClassicLevel(`${folder}/level`, { keyEncoding, valueEncoding: 'buffer' });
  await db.open();
  const keys = allKeys({ isNamed, names }, (number) => {
    const key = Buffer.alloc(4);
    key.writeUInt32BE(number);
    return key;
  });
  let held = 0;

  /** @returns how many values there are */
  const hold = async (size) => {
    const count = Math.min(keys.length, keysOf(size));
    if (held === size) return count;
    held = size;
    await db.clear();
    const value = sourceBytes(size);
    await db.batch(keys.slice(0, count).map((key) => ({ type: 'put', key, value })));
    return count;
  };
  const writing = async (size) => {
    const count = await hold(size);
    const value = valuesOf(size, { isNamed });
    const commit = perTurn((puts) => db.batch(puts, { sync: isSynced }));
    return (index) => commit({ type: 'put', key: keys[index % count], value: value() });
  };

  const reading = async (size) => {
    const count = await hold(size);
    // Within the call, as those do that it stands beside.
    return (index) => db.getSync(keys[index % count]);
  };

  return {
    write: writing,
    writeDurably: writing,
    read: reading,
    // Nothing here tells where a value lies, so that a copy is the least.
    find: reading,
    map: reading,
    async writeTogether(size) {
      const count = await hold(size);
      const value = valuesOf(size, { isNamed });
      return (index) => {
        const puts = Array.from({ length: TOGETHER }, (_, each) => {
          return { type: 'put', key: keys[(index * TOGETHER + each) % count], value: value() };
        });
        return db.batch(puts, { sync: isSynced });
      };
    },
    async walk(size) {
      await hold(size);
      return async () => {
        let pairs = 0;
        for await (const [, value] of db.iterator()) pairs += value.length === size ? 1 : 0;
        return pairs;
      };
    },
    close: () => db.close(),
  };
}
