/** classic-level: the puts of a turn in one batch, durable by `sync`. */
import { ClassicLevel } from 'classic-level';
import { perTurn } from './per-turn.js';
import { keysOf, sourceBytes } from './values.js';

export async function openLevel(folder, { isSynced }) {
  const db = new ClassicLevel(`${folder}/level`, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
  await db.open();
  const keys = Array.from({ length: keysOf(1) }, (_, number) => {
    const key = Buffer.alloc(4);
    key.writeUInt32BE(number);
    return key;
  });
  let held = 0;

  const hold = async (size) => {
    if (held === size) return;
    held = size;
    await db.clear();
    const value = sourceBytes(size);
    await db.batch(keys.slice(0, keysOf(size)).map((key) => ({ type: 'put', key, value })));
  };
  const writing = async (size) => {
    await hold(size);
    const value = sourceBytes(size);
    const count = keysOf(size);
    const commit = perTurn((puts) => db.batch(puts, { sync: isSynced }));
    return (index) => commit({ type: 'put', key: keys[index % count], value });
  };

  return {
    write: writing,
    writeDurably: writing,
    async read(size) {
      await hold(size);
      const count = keysOf(size);
      // Within the call, as those do that it stands beside.
      return (index) => db.getSync(keys[index % count]);
    },
    close: () => db.close(),
  };
}
