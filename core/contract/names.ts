/**
 * Names of regions, and transactions: the types that `Target` uses for them.
 *
 * A region may have a name, which is unique in its target. Names are UTF-8 and are compared and
 * ordered byte by byte. They are not normalised, so two names that look alike may differ.
 * `Capabilities.named` and `Capabilities.transactional` say which targets support names and
 * transactions.
 */
import type { RegionId } from './region-id.js';

/** Longest name, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 1024;

/**
 * Limit of a transaction if the configuration sets no `max_transaction_bytes`: the bytes of its
 * writes, contents and names, plus 64 for each change.
 */
export const DEFAULT_MAX_TRANSACTION_BYTES = 2 ** 20;

/**
 * A region, given by its ID or by its name. A name is looked up when the call begins. A string is
 * always a name, never an ID in hex.
 */
export type RegionRef = RegionId | string;

/** Options for creating a region. */
export interface CreateOptions {
  /** Name of the new region: not empty, at most `MAX_NAME_BYTES` of UTF-8, and not 32 hexadecimal digits. */
  name?: string;
}

/** Condition of a `put`. */
export interface PutOptions {
  /**
   * `absent`: put only if no region has the name. An ID: put only if that region has the name.
   * Default: put always.
   */
  if?: 'absent' | RegionId;
}

/** Options of `rename`: what happens to a region that already has the new name. */
export interface RenameOptions {
  /**
   * Erase that region in the same step, so that the name always refers to one of the two regions.
   * By default the call is refused with NAME_TAKEN.
   */
  replace?: boolean;
}

/** Selects part of the names. */
export interface NamesOptions {
  /** Only names that begin with this prefix; default: all names. */
  prefix?: string;
  /**
   * Groups names. If a name contains the delimiter after the prefix, it is not listed itself.
   * Instead, the part up to and including the first delimiter is listed once, in `prefixes`.
   */
  delimiter?: string;
  /**
   * Only names after this one, in byte order: `next` of the previous page, or any other text. If it
   * is a common prefix, all names with that prefix are skipped.
   */
  after?: string;
  /**
   * Maximum number of entries, names and common prefixes together, from 1 up; default:
   * `DEFAULT_LIST_LIMIT` (1000).
   */
  limit?: number;
}

/** A region that has a name. */
export interface NamedRegion {
  /** Name of the region. */
  readonly name: string;
  /** ID of the region. */
  readonly id: RegionId;
  /** Exact size, in bytes. */
  readonly size: number;
  /** When the region was created, in milliseconds since the epoch. */
  readonly createdAt: number;
}

/** One page of the names of a target. */
export interface NamesPage {
  /** Regions in the order of their names' UTF-8 bytes. */
  readonly names: readonly NamedRegion[];
  /** Common prefixes, in the same order; empty without a delimiter. */
  readonly prefixes: readonly string[];
  /** Present if there are more: pass it as `after` to get the next page. */
  readonly next?: string;
}

/** A region that `mapNames` gives, with views of its bytes. */
export interface MappedName {
  /** Name of the region. */
  readonly name: string;
  /** ID of the region. */
  readonly id: RegionId;
  /** Views as in `RegionMapping`, valid until the loop asks for the next region or ends. */
  readonly views: readonly Uint8Array[];
}

/** Selects the regions for `mapNames`. */
export interface MapNamesOptions {
  /** Only names that begin with this prefix; default: all names. */
  prefix?: string;
}

/**
 * One change of a transaction. Changes are applied in order: each sees names as the changes before
 * it left them.
 *
 * - `write`: writes bytes into a region, like `Target.write`.
 * - `put`: creates a region with these contents and gives it the name, like `Target.put`.
 * - `erase`: like `Target.erase`.
 * - `rename`: like `Target.rename`.
 * - `expect`: changes nothing. It refuses the transaction unless the region with this ID has the
 *   name, or, if `id` is null, unless no region has the name.
 */
export type Change =
  | {
      readonly type: 'write';
      readonly ref: RegionRef;
      readonly offset: number;
      readonly bytes: Uint8Array;
    }
  | { readonly type: 'put'; readonly name: string; readonly contents: Uint8Array }
  | { readonly type: 'erase'; readonly ref: RegionRef }
  | {
      readonly type: 'rename';
      readonly ref: RegionRef;
      readonly to: string | null;
      readonly replace?: boolean;
    }
  | { readonly type: 'expect'; readonly name: string; readonly id: RegionId | null };

/** The result of a transaction. */
export interface TransactionResult {
  /**
   * One entry for each change, in order: the ID of the region that a `put` created, null for other
   * changes.
   */
  readonly ids: readonly (RegionId | null)[];
}
