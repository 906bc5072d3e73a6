/** Runs steps one after another, without a turn of the event loop if none of them has to wait. */
import type { Eventually } from '../targets/lifecycle.js';

/** Runs steps in order, starting with number `first`. It ends at the first error, which it throws. */
export function inOrder(steps: readonly (() => Eventually<void>)[], first = 0): Eventually<void> {
  for (let index = first; index < steps.length; index++) {
    const pending = steps[index]?.();
    if (pending !== undefined) return pending.then(() => inOrder(steps, index + 1));
  }
  return undefined;
}

/** Runs steps in any order. It ends when all have ended, and then throws the first error. */
export function allOf(steps: readonly (() => Eventually<void>)[]): Eventually<void> {
  return forEach(steps, (step) => step());
}

/** Runs the same step for each item. */
export function forEach<T>(items: readonly T[], step: (item: T) => Eventually<void>): Eventually<void> {
  let pending: Promise<void>[] | undefined;
  let failure: { readonly error: unknown } | undefined;
  for (const item of items) {
    try {
      const started = step(item);
      if (started !== undefined) (pending ??= []).push(started);
    } catch (error) {
      failure ??= { error };
    }
  }
  if (pending !== undefined) return endOf(pending, failure);
  if (failure !== undefined) throw failure.error;
  return undefined;
}

async function endOf(
  pending: readonly Promise<void>[],
  failure: { readonly error: unknown } | undefined,
): Promise<void> {
  const ended = await Promise.allSettled(pending);
  if (failure !== undefined) throw failure.error;
  for (const each of ended) if (each.status === 'rejected') throw each.reason;
}
