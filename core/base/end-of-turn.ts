/**
 * The end of a turn of the event loop, to do once what all callers of the turn want. All that
 * follows at once from one event is one turn: its promises, and those that settle because of them.
 * process.nextTick comes after all of these.
 */

/** Resolves when nothing more follows from the event that is being handled. */
export function endOfTurn(): Promise<void> {
  // From a promise's callback, nextTick waits for all other promises; from an event's callback it
  // would come before them.
  return new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));
}
