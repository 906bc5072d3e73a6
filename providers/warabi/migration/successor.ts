/**
 * The provider that a migration makes at its destination, if there is none of that name yet: the
 * source's settings, as Warabi's options `new_root` and `merge_config` change them.
 *
 * Warabi merges `merge_config` with the settings of the target, and its manual shows one for those
 * of the provider. Both are taken: keys of a provider's settings (`target`, `targets`,
 * `transfer_manager`) concern these, any others the settings of each target.
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

/** What a migration is to make unless it is there. */
export interface Successor {
  readonly entry: ProviderConfig;
  readonly targets: readonly Settings[];
}

/**
 * @param source name and settings of the provider that moves
 * @param to name or id of the one that is made
 * @returns undefined if neither option is given: the destination must be there then
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

/** An existing file at the destination is not replaced because one was at the source, long ago. */
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
  // Another list of targets takes the place of what there was.
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
      'new_root means nothing, as no target of the destination would have a path; choose a backend with files by merge_config, and give it one',
    );
}

function targetsOf(config: Record<string, unknown>): Settings[] {
  const all = config.target === undefined ? config.targets : [config.target];
  if (!Array.isArray(all)) return [];
  // What merge_config has made of them may be anything; the destination checks it.
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
 * Compares a provider that is there with what would be made.
 * @returns where they differ, as a path of the configuration; undefined if all that is wanted is there
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
