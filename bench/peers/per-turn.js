/**
 * The puts of a turn of the event loop share a transaction: for stores that do not see to it
 * themselves, beside those that do.
 */

/**
 * @returns a function that takes a put, and promises its commit with those of the same turn;
 *   `commit(puts)` may be a promise too
 */
export function perTurn(commit) {
  let puts = [];
  let committed;
  return (put) => {
    if (puts.length === 0) {
      committed = Promise.resolve().then(() => {
        const all = puts;
        puts = [];
        return commit(all);
      });
    }
    puts.push(put);
    return committed;
  };
}
