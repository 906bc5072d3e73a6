/** What calls on names need of a target: the hooks of its backend, and the pins of BaseTarget. */
import type { RegionRef } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { Eventually } from './lifecycle.js';
import type { ListedRegion, Region } from './region.js';

/** A name that a region gets when it is published. */
export interface Naming<R extends Region = Region> {
  /** The name. */
  readonly name: string;
  /** The region that has the name. It is removed in the same step. */
  readonly replaced: R | undefined;
}

/** The net effect of a transaction. No region is in more than one of the last three lists. */
export interface Transaction<R extends Region = Region> {
  /** Writes to regions that stay, in this order. */
  readonly writes: readonly {
    readonly region: R;
    readonly offset: number;
    readonly bytes: Uint8Array;
  }[];
  /**
   * New regions: allocated, with their contents as `persistNew` left them. Without a name if a
   * change after the `put` removed it.
   */
  readonly published: readonly { readonly region: R; readonly name: string | undefined }[];
  /** Regions whose name changes; undefined removes it. Names may be exchanged. */
  readonly renamed: readonly { readonly region: R; readonly name: string | undefined }[];
  /** Regions that are removed. */
  readonly erased: readonly R[];
}

/** A region whose bytes somebody has read, and how often it had been changed in place before. */
export interface SeenBytes {
  readonly id: RegionId;
  readonly changes: number;
}

/** A region that has a name. */
export interface NameEntry {
  readonly name: string;
  readonly region: ListedRegion;
}

/** The hooks that BaseTarget describes, and methods of BaseTarget itself. */
export interface NamedStore<R extends Region> {
  readonly type: string;

  lookUp(id: RegionId): R | undefined;
  lookUpName(name: string): R | undefined;
  nameOf(region: ListedRegion): string | undefined;
  allocate(size: number, nameBytes: number): Eventually<R>;
  /**
   * Stores the contents of a new region. If the target is persistent, they are durable by the end
   * of `publish` or `commit`.
   */
  fill(region: R, contents: Uint8Array): Eventually<void>;
  publish(region: R, naming: Naming<R>): Eventually<void>;
  renameRegion(region: R, name: string | undefined, replaced: R | undefined): Eventually<void>;
  commit(transaction: Transaction<R>): Eventually<void>;
  /** How often a region was changed in place. */
  changesOf(id: RegionId): number;

  /** The region that a reference means now, for a call in progress. @throws REGION_NOT_FOUND */
  regionOf(ref: RegionRef): R;
  /** Keeps a region in place until `unpin`. */
  pin(region: R): void;
  unpin(region: R): void;
  /**
   * Ends a region that a hook has removed, and one pin of it. Its space goes back when nobody uses
   * it any more.
   */
  retire(region: R): void;
  /** Releases a region that was never published. A failure is logged. */
  giveBack(region: R): Eventually<void>;
}
