/** Looks names and bytes up for commands: without a promise, and without an error for what is missing, where the target allows it. */
import { BedrockError } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import { DIRECT_BYTES, DirectTarget } from '../targets/direct-target.js';
import type { Eventually } from '../targets/lifecycle.js';

interface Found {
  readonly id: RegionId;
  readonly size: number;
}

/** The region that has a name; nothing if no region has it. @throws what `find` throws */
export function lookUp(target: Target, name: string): Found | undefined | Promise<Found | undefined> {
  if (target instanceof DirectTarget) return target.findNow(name);
  return target.find(name).catch(nothingIfMissing);
}

function nothingIfMissing(error: unknown): undefined {
  if (isMissing(error)) return undefined;
  throw error;
}

/** Reads part of a region. @throws what `readInto` throws */
export function readPart(target: Target, id: RegionId, offset: number, into: Uint8Array): Eventually<void> {
  if (target instanceof DirectTarget && target.isDirect && into.length <= DIRECT_BYTES) {
    if (target.readNow(id, offset, into)) return undefined;
  }
  return target.readInto(id, offset, into);
}

export function isMissing(error: unknown): boolean {
  return error instanceof BedrockError && error.code === 'REGION_NOT_FOUND';
}
