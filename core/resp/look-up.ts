/**
 * Looks names and bytes up for commands: without a promise, and without an error for what is
 * missing, where the target allows it.
 */
import { BedrockError } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import { BaseTarget } from '../targets/base-target.js';
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
  if (target instanceof DirectTarget && target.readsNow && into.length <= DIRECT_BYTES) {
    if (target.readNow(id, offset, into)) return undefined;
  }
  return target.readInto(id, offset, into);
}

/**
 * How often a region was changed in place. Not known of targets of other kinds: then the count
 * never changes.
 */
export function changesOf(target: Target, id: RegionId): number {
  return target instanceof BaseTarget ? target.changesOf(id) : 0;
}

export function isMissing(error: unknown): boolean {
  return error instanceof BedrockError && error.code === 'REGION_NOT_FOUND';
}
