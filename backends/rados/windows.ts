/** Work on many things, some of them at a time. */

/** Operations of one call that are under way at once. */
const WINDOW = 16;

/** Works on all things, or up to a failure. All work that has begun ends before this does. */
export async function inWindows<T>(things: Iterable<T>, work: (thing: T) => Promise<void>): Promise<void> {
  const iterator = things[Symbol.iterator]();
  let failure: { error: unknown } | undefined;
  const worker = async (first: T): Promise<void> => {
    let thing = first;
    for (;;) {
      try {
        await work(thing);
      } catch (error) {
        failure ??= { error };
      }
      const next = failure === undefined ? iterator.next() : undefined;
      if (next === undefined || next.done === true) return;
      thing = next.value;
    }
  };
  const workers: Promise<void>[] = [];
  while (workers.length < WINDOW) {
    const next = iterator.next();
    if (next.done === true) break;
    workers.push(worker(next.value));
  }
  await Promise.all(workers);
  if (failure !== undefined) throw failure.error;
}
