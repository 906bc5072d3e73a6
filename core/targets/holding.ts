/**
 * A step during which no call is in flight on some regions. Calls that would pin one of them wait
 * until it ends, and calls in flight end first. It does not wait for views that others hold, since
 * they may keep them as long as they like.
 */
import type { Hold, Region } from './region.js';

/**
 * Runs a step while no call is in flight on the regions. The caller has pinned each of them once,
 * and holds its lock, so that nobody else holds it. If no call is in flight, the step begins at
 * once.
 */
export async function holding(regions: ReadonlySet<Region>, step: () => Promise<void> | void): Promise<void> {
  let end = (): void => undefined;
  let look = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const hold: Hold = { ended, onUnpin: () => look() };
  for (const region of regions) region.hold = hold;
  try {
    if (!isQuiet(regions))
      await new Promise<void>((resolve) => {
        look = () => {
          if (isQuiet(regions)) resolve();
        };
      });
    // Safe: a call that begins now on one of them waits for `ended`.
    await step();
  } finally {
    for (const region of regions) region.hold = undefined;
    end();
  }
}

/** Whether only the caller, who has pinned each region once, has a call in flight on them. */
export function isQuiet(regions: Iterable<Region>): boolean {
  for (const region of regions) if (isUsed(region, 1)) return false;
  return true;
}

/** Whether more calls are in flight on a region than these. Views do not count. */
export function isUsed({ pins, views }: Region, own = 0): boolean {
  return pins - views > own;
}
