/**
 * better-sqlite3: a table of blobs in WAL mode, the puts of a turn in one transaction, durable by
 * synchronous = FULL.
 */
import Database from 'better-sqlite3';
import { perTurn } from './per-turn.js';
import { TOGETHER, allKeys, keysOf, sourceBytes, valuesOf } from './values.js';

const TABLES = {
  numbered: 'CREATE TABLE blobs (key INTEGER PRIMARY KEY, value BLOB)',
  named: 'CREATE TABLE blobs (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID',
};

/** @param isNamed keys are names, `names` of them, and not numbers */
export function openSqlite(folder, { isSynced, isNamed = false, names }) {
  const db = new Database(`${folder}/sqlite`);
  db.pragma('journal_mode = WAL');
  db.pragma(`synchronous = ${isSynced ? 'FULL' : 'OFF'}`);
  db.exec(TABLES[isNamed ? 'named' : 'numbered']);
  const put = db.prepare('INSERT OR REPLACE INTO blobs VALUES (?, ?)');
  const get = db.prepare('SELECT value FROM blobs WHERE key = ?').pluck();
  const all = db.prepare('SELECT key, value FROM blobs ORDER BY key');
  const putAll = db.transaction((puts) => {
    for (const { key, value } of puts) put.run(key, value);
  });
  const keys = allKeys({ isNamed, names }, (number) => number);
  let held = 0;

  /** @returns how many values there are */
  const hold = (size) => {
    const count = Math.min(keys.length, keysOf(size));
    if (held === size) return count;
    held = size;
    db.exec('DELETE FROM blobs');
    const value = sourceBytes(size);
    putAll(keys.slice(0, count).map((key) => ({ key, value })));
    return count;
  };
  const writing = (size) => {
    const count = hold(size);
    const value = valuesOf(size, { isNamed });
    const commit = perTurn(putAll);
    return (index) => commit({ key: keys[index % count], value: value() });
  };

  const reading = (size) => {
    const count = hold(size);
    return (index) => get.get(keys[index % count]);
  };

  return {
    write: writing,
    writeDurably: writing,
    read: reading,
    // Nothing here tells where a value lies, so that a copy is the least.
    find: reading,
    map: reading,
    writeTogether(size) {
      const count = hold(size);
      const value = valuesOf(size, { isNamed });
      return (index) =>
        putAll(
          Array.from({ length: TOGETHER }, (_, each) => {
            return { key: keys[(index * TOGETHER + each) % count], value: value() };
          }),
        );
    },
    walk(size) {
      hold(size);
      return () => {
        let pairs = 0;
        for (const { value } of all.iterate()) pairs += value.length === size ? 1 : 0;
        return pairs;
      };
    },
    close: () => db.close(),
  };
}
