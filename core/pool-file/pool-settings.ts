/**
 * The settings of backends with pool files. All accept the same keys, so that a switch between them
 * changes only the type. A backend accepts a key that it cannot use, and says so.
 */
import type { SettingsReport } from '../contract/definitions.js';

/** As in the schemas of the backends. */
export interface PoolSettings {
  path: string;
  create_if_missing?: boolean;
  create_if_missing_with_size?: number;
  size?: number;
  max_size?: number;
  override_if_exists?: boolean;
  alignment?: number;
  sync?: boolean;
  sync_writes?: boolean;
  read_only?: boolean;
  require_pmem?: boolean;
  reclaim?: boolean;
  max_transaction_bytes?: number;
}

/** Default size of a new pool; also in the schemas. */
const DEFAULT_POOL_BYTES = 2 ** 26;

/** Size of a new pool, bytes; undefined if none is given. */
function sizeOf(settings: PoolSettings): number | undefined {
  const named = settings.create_if_missing_with_size ?? settings.size;
  return named ?? (settings.create_if_missing === true ? DEFAULT_POOL_BYTES : undefined);
}

/** Size of the pool to create if there is none; undefined if none may be created. */
export function missingBytes(settings: PoolSettings): number | undefined {
  return settings.create_if_missing === false ? undefined : sizeOf(settings);
}

/** Size of the pool that replaces an existing one; undefined if that stays. */
export function overrideBytes(settings: PoolSettings): number | undefined {
  return settings.override_if_exists === true ? sizeOf(settings) : undefined;
}

/** Rules that the schemas cannot express: contradictory keys. */
export function checkPoolSettings(settings: PoolSettings, report: SettingsReport): void {
  const { create_if_missing_with_size: withSize, size, max_size: maxBytes } = settings;
  if (withSize !== undefined && size !== undefined)
    report(['create_if_missing_with_size'], withSize, 'only one of this and "size", which mean the same');
  const bytes = sizeOf(settings);
  if (maxBytes !== undefined && bytes !== undefined && maxBytes < bytes)
    report(['max_size'], maxBytes, `at least the size of the pool that is made, ${bytes}`);
  if (settings.override_if_exists !== true) return;
  if (bytes === undefined)
    report(
      ['override_if_exists'],
      true,
      'a size beside it for the new pool, such as "create_if_missing_with_size"',
    );
  if (settings.read_only === true)
    report(['override_if_exists'], true, 'false, since "read_only" forbids writes');
}
