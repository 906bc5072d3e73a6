/**
 * Keeps the daemon's own memory small compared with that of its regions, by limiting V8's young
 * generation to 4 MiB per semi-space.
 *
 * V8 would let it grow to 48 MiB under load. It does not count the buffers that hold the pieces of
 * an upload: up to 32 MiB of them are dead before it collects. Measured with an upload of 512 MiB,
 * peak memory beyond the region: 104 to 110 MiB without this, 86 to 91 MiB with it, in the same
 * time. Less than 4 MiB would slow down small requests: at 1 MiB a twelfth of the daemon's time
 * went into collection, at 4 MiB a twenty-fifth.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** V8 reports both semi-spaces. They start with 1 MiB each, and one growth by 4 gives this size. */
const NEW_SPACE_BYTES = 8 * 2 ** 20;

/** Bytes of pieces after which they are collected. */
const COLLECT_EVERY_BYTES = 2 * 2 ** 20;

type Collect = (options: { type: 'minor' }) => void;

let collect: Collect | undefined;
let uncollected = 0;

/**
 * For the daemon's own process, before its first allocations. A program that embeds the daemon
 * keeps its own settings.
 */
export function holdSmall(): void {
  setFlagsFromString('--expose-gc');
  collect = runInNewContext('gc') as Collect;
  // The size itself can be set only on the command line of node; the growth factor can be set at any time.
  setFlagsFromString('--semi-space-growth-factor=4');
  for (let attempt = 0; attempt < 10 && newSpaceBytes() < NEW_SPACE_BYTES; attempt++)
    collectSurvivors(collect);
  setFlagsFromString('--semi-space-growth-factor=1');
}

/** Records that buffers of this size were used and dropped. */
export function noteDropped(bytes: number): void {
  uncollected += bytes;
  if (uncollected < COLLECT_EVERY_BYTES) return;
  uncollected = 0;
  collect?.({ type: 'minor' });
}

function newSpaceBytes(): number {
  return (
    getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? Infinity
  );
}

/** V8 grows the space when much of it survives a collection. */
function collectSurvivors(minor: Collect): void {
  const survivors = Array.from({ length: 20_000 }, (_, index) => ({ index: [index] }));
  minor({ type: 'minor' });
  survivors.length = 0;
}
