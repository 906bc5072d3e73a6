/**
 * The provider that a migration creates at its destination, if none of that name exists yet. It has
 * the source's settings, changed by Warabi's options `new_root` and `merge_config`.
 *
 * Warabi merges `merge_config` with the settings of the target, while its manual shows settings of
 * the provider. Both are accepted: keys of a provider's settings (`target`, `targets`,
 * `transfer_manager`) change these, all others change the settings of each target.
 */
import path from 'node:path';
import { BedrockError, type ProviderConfig } from '../../../core/index.js';
import type { WarabiConfig } from '../../../schemas/generated/warabi.js';

export interface SuccessorOptions {
  /** Folder at the destination for the files of the targets. */
  readonly new_root?: string;
  /** Changes of the settings, as a JSON merge patch (RFC 7396). */
  readonly merge_config?: Readonly<Record<string, unknown>>;
}

interface Settings {
  readonly type: string;
  readonly config: Readonly<Record<string, unknown>>;
}

const OF_PROVIDER: ReadonlySet<string> = new Set(['target', 'targets', 'transfer_manager']);

/** The provider that a migration creates if it does not exist. */
export interface Successor {
  readonly entry: ProviderConfig;
  readonly targets: readonly Settings[];
}

/**
 * @param source name and settings of the provider that moves
 * @param to name or id of the provider that is created
 * @returns undefined if neither option is given: then the destination must exist
 * @throws INVALID_ARGUMENT
 */
export function successorOf(
  source: { readonly name: string; readonly config: WarabiConfig },
  to: string | number,
  { new_root: newRoot, merge_config: patch = {} }: SuccessorOptions,
): Successor | undefined {
  if (newRoot === undefined && Object.keys(patch).length === 0) return undefined;
  const given = structuredClone(source.config) as Record<string, unknown>;
  const before = targetsOf(given).map((target) => inherited(target, newRoot));
  const settings = 'target' in given ? { ...given, target: before[0] } : { ...given, targets: before };
  const config = changed(settings, patch);
  const targets = targetsOf(config);
  checkPaths(targets, newRoot);
  const identity = typeof to === 'number' ? { name: source.name, provider_id: to } : { name: to };
  return { entry: { ...identity, type: 'warabi', config }, targets };
}

/**
 * The settings of a target that the successor takes over. `override_if_exists` is left out: the
 * source once replaced a file, but a file at the destination must not be replaced.
 */
function inherited({ type, config }: Settings, newRoot: string | undefined): Settings {
  const kept = { ...config };
  delete kept.override_if_exists;
  if (newRoot === undefined || typeof kept.path !== 'string') return { type, config: kept };
  const isFolder = kept.path.endsWith('/');
  return {
    type,
    config: { ...kept, path: path.join(newRoot, path.basename(kept.path)) + (isFolder ? '/' : '') },
  };
}

function changed(
  settings: Record<string, unknown>,
  patch: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const keys = Object.keys(patch);
  const others = keys.filter((key) => !OF_PROVIDER.has(key));
  if (others.length === 0) return ofProvider(settings, patch);
  if (others.length < keys.length)
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `merge_config has keys of a provider's settings and of a target's: ${keys.join(', ')}; put the latter under "target": {"config": …}`,
    );
  const merge = ({ type, config }: Settings): Settings => ({
    type,
    config: merged(config, patch) as Settings['config'],
  });
  const targets = targetsOf(settings).map(merge);
  return 'target' in settings ? { ...settings, target: targets[0] } : { ...settings, targets };
}

function ofProvider(
  { target, targets, ...others }: Record<string, unknown>,
  patch: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  // A list of targets replaces the former one.
  if (patch.targets !== undefined) return merged(others, patch) as Record<string, unknown>;
  const own = { ...(target !== undefined && { target }), ...(targets !== undefined && { targets }) };
  if (patch.target === undefined) return merged({ ...others, ...own }, patch) as Record<string, unknown>;
  const [only, ...more] = targetsOf(own);
  const base = only === undefined || more.length > 0 ? {} : { target: forType(only, patch.target) };
  return merged({ ...others, ...base }, patch) as Record<string, unknown>;
}

/** Settings of one backend mean nothing to another. */
function forType(own: Settings, patch: unknown): Settings {
  const type = isRecord(patch) ? patch.type : undefined;
  return type === undefined || type === own.type ? own : { type: own.type, config: {} };
}

function checkPaths(targets: readonly Settings[], newRoot: string | undefined): void {
  const paths = targets.map(({ config }) => config.path).filter((one) => one !== undefined);
  const twice = paths.find((one, index) => paths.indexOf(one) !== index);
  if (twice !== undefined)
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `two targets would have the path ${JSON.stringify(twice)} at the destination; give each its own by merge_config`,
    );
  if (newRoot !== undefined && paths.length === 0)
    throw new BedrockError(
      'INVALID_ARGUMENT',
      'new_root has no effect, as no target of the destination would have a path; choose a backend with files by merge_config, and give it a path',
    );
}

function targetsOf(config: Record<string, unknown>): Settings[] {
  const all = config.target === undefined ? config.targets : [config.target];
  if (!Array.isArray(all)) return [];
  // After merge_config they may be anything; the destination checks them.
  return all.map((target: unknown) => {
    const { type, config: settings } = isRecord(target) ? target : {};
    return { type: String(type), config: isRecord(settings) ? settings : {} };
  });
}

/** RFC 7396: objects are merged, null removes, anything else replaces. */
function merged(value: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const result = new Map(isRecord(value) ? Object.entries(value) : []);
  for (const [key, change] of Object.entries(patch))
    if (change === null) result.delete(key);
    else result.set(key, merged(result.get(key), change));
  return Object.fromEntries(result);
}

/**
 * Compares an existing provider with the one that would be created.
 * @returns where they differ, as a path in the configuration; undefined if the existing one has all
 *   that is wanted
 */
export function differenceOf(wanted: unknown, there: unknown, at = 'config'): string | undefined {
  if (isRecord(wanted) && isRecord(there)) {
    for (const [key, value] of Object.entries(wanted)) {
      const found = differenceOf(value, there[key], `${at}.${key}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (Array.isArray(wanted) && Array.isArray(there) && wanted.length === there.length) {
    for (const [index, value] of wanted.entries()) {
      const found = differenceOf(value, there[index], `${at}[${index}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return Object.is(wanted, there) ? undefined : at;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
