/**
 * Operations go round a set of regions of one size, or of keys, so that those in flight at the same
 * time meet different ones.
 */

const MEMBERS = 64;

/**
 * @param calls make(size) gives a key; write(key, bytes), writeDurably(key, bytes) and read(key,
 *   into) do with it what they say
 * @returns for each operation a function of the size, which gives `run`, a function of the operation's number
 */
export function overWorkingSet({ make, write, writeDurably, read }) {
  const sets = new Map();
  const keysOf = (size) => {
    if (!sets.has(size)) sets.set(size, Promise.all(Array.from({ length: MEMBERS }, () => make(size))));
    return sets.get(size);
  };
  const writing = (call) => async (size) => {
    const keys = await keysOf(size);
    const bytes = Buffer.alloc(size, 7);
    return { run: (index) => call(keys[index % MEMBERS], bytes) };
  };
  return {
    write: writing(write),
    writeDurably: writing(writeDurably),
    async read(size) {
      const keys = await keysOf(size);
      const into = Array.from({ length: MEMBERS }, () => Buffer.alloc(size));
      return { run: (index) => read(keys[index % MEMBERS], into[index % MEMBERS]) };
    },
  };
}
