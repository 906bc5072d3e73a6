/** better-sqlite3: a table of blobs in WAL mode, the puts of a turn in one transaction, durable by synchronous = FULL. */
import Database from 'better-sqlite3';
import { perTurn } from './per-turn.js';
import { keysOf, sourceBytes } from './values.js';

export function openSqlite(folder, { isSynced }) {
  const db = new Database(`${folder}/sqlite`);
  db.pragma('journal_mode = WAL');
  db.pragma(`synchronous = ${isSynced ? 'FULL' : 'OFF'}`);
  db.exec('CREATE TABLE blobs (key INTEGER PRIMARY KEY, value BLOB)');
  const put = db.prepare('INSERT OR REPLACE INTO blobs VALUES (?, ?)');
  const get = db.prepare('SELECT value FROM blobs WHERE key = ?').pluck();
  const putAll = db.transaction((puts) => {
    for (const { key, value } of puts) put.run(key, value);
  });
  let held = 0;

  const hold = (size) => {
    if (held === size) return;
    held = size;
    db.exec('DELETE FROM blobs');
    const value = sourceBytes(size);
    putAll(Array.from({ length: keysOf(size) }, (_, key) => ({ key, value })));
  };
  const writing = (size) => {
    hold(size);
    const value = sourceBytes(size);
    const keys = keysOf(size);
    const commit = perTurn(putAll);
    return (index) => commit({ key: index % keys, value });
  };

  return {
    write: writing,
    writeDurably: writing,
    read(size) {
      hold(size);
      const keys = keysOf(size);
      return (index) => get.get(index % keys);
    },
    close: () => db.close(),
  };
}
