/**
 * Opens a pool as a power failure has left it, and looks whether it is as it should be: what is
 * owed is there, and the pool goes on working.
 */
import type { Target } from '../../core/index.js';
import type { Ledger } from './ledger.js';
import { observe, type Observation } from './observation.js';
import { simulatedTarget, type Flaw, type PoolShape } from './simulated-pool.js';
import type { SimulatedMedia } from './simulated-media.js';
import { SimulatedProcess } from './simulated-process.js';

const LATER = { now: () => 1_000_000 };

export interface Recovered {
  readonly fault: string | undefined;
  readonly pool: Observation | undefined;
}

/** @param isThorough whether regions are made and erased too; that costs several times as much */
export async function recover(
  shape: PoolShape,
  media: SimulatedMedia,
  ledger: Ledger,
  isThorough: boolean,
  flaw?: Flaw,
): Promise<Recovered> {
  const process = new SimulatedProcess();
  const target = simulatedTarget(shape, media, process, LATER, flaw);
  try {
    await target.open();
    const pool = await observe(target, media.bytes, ledger.stale);
    const fault = ledger.judge(pool) ?? (isThorough ? await misbehaviour(target, media, pool) : undefined);
    return { fault, pool };
  } catch (error) {
    return {
      fault: error instanceof Error ? (error.stack ?? error.message) : String(error),
      pool: undefined,
    };
  } finally {
    // Nothing that it would do later, when it is idle, may reach the medium.
    process.kill();
  }
}

/**
 * Fills the pool and gives all back: new regions are zeros, no other region changes, and the space
 * comes out even.
 */
async function misbehaviour(
  target: Target,
  media: SimulatedMedia,
  before: Observation,
): Promise<string | undefined> {
  const made = [];
  for (let nth = 0; ; nth++) {
    // A small one, then all that is left, so that every gap is taken.
    const { largestFreeBytes } = await target.stats();
    const size = nth === 0 ? 1 : (largestFreeBytes ?? 0);
    const id = await target.create(size).catch((error: unknown) => {
      if ((error as { code?: unknown }).code === 'OUT_OF_SPACE') return undefined;
      throw error;
    });
    if (id === undefined) break;
    made.push(id);
    const bytes = await target.read(id, 0, size);
    const at = bytes.findIndex((byte) => byte !== 0);
    if (at >= 0) return `a new region is not zeros: byte ${at} of ${size} is ${String(bytes[at])}`;
    await target.write(id, 0, bytes.fill(0xa5));
    if (size === 0 || nth > 64) break;
  }
  for (const { id, bytes } of (await observe(target, media.bytes, [])).regions) {
    const old = before.regions.find((region) => region.id === id);
    if (old !== undefined && Buffer.compare(old.bytes, bytes) !== 0)
      return `filling the pool has changed the region ${id}`;
  }
  for (const id of made) await target.erase(id);
  const after = await observe(target, media.bytes, made.map(String));
  if (after.found.length > 0) return 'a region that was erased is still there';
  if (after.regions.length !== before.regions.length) return 'the pool has lost regions';
  if (after.usedBytes !== after.accountedBytes)
    return `after all was given back ${after.usedBytes} bytes are used instead of ${after.accountedBytes}`;
  return undefined;
}
