/**
 * Resolves the providers of a configuration. Their types must be known, their settings valid, their
 * names and ids unique, and their dependencies found.
 */
import type { PoolReference } from '../../schemas/generated/bedrock.js';
import { messageOf } from '../base/errors.js';
import type { ConfigCheck, ProviderDefinition } from '../contract/definitions.js';
import { judgeSettings } from '../library/make-target.js';
import type { Registered, TypeRegistry } from '../library/registry.js';
import { type ConfigPath, expected } from '../validation/issues.js';
import { type Draft, resolveDependencies, resolvePool, type Surroundings } from './dependencies.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';
import { entriesOf } from './named-entries.js';
import type { ResolvedPools } from './pools.js';
import type { ResolvedProvider } from './resolved-config.js';

/** 65535 is reserved (Margo's MARGO_DEFAULT_PROVIDER_ID). */
const MAX_PROVIDER_ID = 65534;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function resolveProviders(
  root: Record<string, unknown>,
  registry: TypeRegistry,
  pools: ResolvedPools,
  faults: FaultList,
  directory: string,
): ResolvedProvider[] {
  const drafts = entriesOf(root.providers).map((entry, index): Draft => ({
    entry,
    path: ['providers', index],
    settings: isObject(entry.config) ? entry.config : {},
    targets: [],
    isConfigValid: false,
  }));
  for (const draft of drafts) checkType(draft, registry, faults);
  assignIds(drafts, root, faults);
  assignNames(drafts, faults);
  return drafts.map((draft, index) => finish(draft, index, { drafts, registry, pools, faults, directory }));
}

function checkType(draft: Draft, registry: TypeRegistry, faults: FaultList): void {
  const { entry, path } = draft;
  if (typeof entry.type !== 'string' || entry.type === '') return;
  draft.type = entry.type;
  const registered = registry.provider(entry.type);
  const unknown = (at: ConfigPath, message: string): void => {
    // The type may come from a library that failed to load, and an optional provider may be left out.
    if (entry.optional === true && !registry.isComplete) draft.unavailable = message;
    else faults.add(at, message);
  };
  if (registered === undefined) {
    unknown([...path, 'type'], registry.unknown('provider', entry.type));
    return;
  }
  draft.registered = registered;
  if (!isObject(entry.config)) return;
  const configPath = [...path, 'config'];
  const verdict = registered.check(draft.settings);
  draft.settings = verdict.value;
  draft.isConfigValid = faults.takeVerdict(configPath, verdict);
  if (!draft.isConfigValid) return;
  const fail = (within: ConfigPath, message: string): void => {
    draft.isConfigValid = false;
    faults.add([...configPath, ...within], message);
  };
  try {
    const lack = (within: ConfigPath, message: string): void => {
      draft.isConfigValid = false;
      unknown([...configPath, ...within], message);
    };
    registered.definition.validate?.(
      draft.settings,
      configCheck(configPath, registry, faults, { fail, lack, targets: draft.targets }),
    );
  } catch (error) {
    fail([], `the provider type "${entry.type}" refuses these settings: ${messageOf(error)}`);
  }
}

function configCheck(
  base: ConfigPath,
  registry: TypeRegistry,
  faults: FaultList,
  {
    fail,
    lack,
    targets,
  }: Record<'fail' | 'lack', (path: ConfigPath, message: string) => void> & Pick<Draft, 'targets'>,
): ConfigCheck {
  return {
    report: (path, found, allowed) => fail(path, expected(found, allowed)),
    warn: (path, message) => faults.warn([...base, ...path], message),
    backend(path, { type, config }) {
      const registered = registry.backend(type);
      if (registered === undefined) return lack([...path, 'type'], registry.unknown('backend', type));
      const backendPath = [...base, ...path, 'config'];
      const verdict = judgeSettings(registered, config);
      // They are part of the copy that the schema of the provider's type made.
      if (!faults.takeVerdict(backendPath, verdict)) return;
      Object.assign(config, verdict.value);
      targets.push({ definition: registered.definition, config });
    },
  };
}

/** Given ids first, then the lowest free numbers for the others. */
function assignIds(drafts: Draft[], root: Record<string, unknown>, faults: FaultList): void {
  const bedrock = isObject(root.bedrock) ? root.bedrock.provider_id : undefined;
  const taken = new Map<number, string>();
  if (typeof bedrock === 'number') taken.set(bedrock, "Bedrock's own (bedrock.provider_id)");
  drafts.forEach((draft, index) => {
    const id = draft.entry.provider_id;
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > MAX_PROVIDER_ID) return;
    const owner = taken.get(id);
    if (owner !== undefined) {
      // It stays without an id, so that a name derived from the id is not reported as a duplicate too.
      faults.add([...draft.path, 'provider_id'], `provider_id ${id} is ${owner}`);
      return;
    }
    taken.set(id, `already that of $.providers[${index}]`);
    draft.id = id;
  });
  let next = 0;
  for (const draft of drafts) {
    if (draft.entry.provider_id !== undefined) continue;
    while (taken.has(next)) next++;
    if (next > MAX_PROVIDER_ID) {
      faults.add(
        [...draft.path, 'provider_id'],
        `no number up to ${MAX_PROVIDER_ID} is left for this provider`,
      );
      return;
    }
    taken.set(next, 'given');
    draft.id = next;
  }
}

function assignNames(drafts: Draft[], faults: FaultList): void {
  const taken = new Map<string, number>();
  const given = drafts.filter(({ entry }) => typeof entry.name === 'string' && NAME.test(entry.name));
  const nameless = drafts.filter(({ entry }) => entry.name === undefined);
  for (const draft of given) claim(draft, draft.entry.name as string);
  for (const draft of nameless) {
    if (draft.type === undefined || draft.id === undefined) continue;
    claim(draft, `${draft.type}_${draft.id}`);
  }

  function claim(draft: Draft, name: string): void {
    const owner = taken.get(name);
    if (owner !== undefined) {
      const whose =
        draft.entry.name === undefined
          ? `the name "${name}", which follows from its id,`
          : `the name "${name}"`;
      faults.add([...draft.path, 'name'], `${whose} is already that of $.providers[${owner}]`);
    }
    taken.set(name, owner ?? drafts.indexOf(draft));
    draft.name = name;
  }
}

/** The result for a faulty draft is never used: the faults are thrown before. */
function finish(draft: Draft, index: number, around: Surroundings): ResolvedProvider {
  const { entry, name = '', type = '', id = -1, settings } = draft;
  const { resolved, written } = resolveDependencies(draft, index, around);
  const { nameOf } = around.pools;
  return {
    name,
    type,
    providerId: id,
    tags: entry.tags as string[],
    isOptional: entry.optional === true,
    pool: resolvePool(draft, around),
    config: settings,
    targets: draft.targets,
    dependencies: resolved,
    entry: {
      ...entry,
      ...(entry.pool !== undefined && { pool: nameOf(entry.pool as PoolReference) }),
      type,
      name,
      provider_id: id,
      config: settings,
      dependencies: {
        ...written,
        ...(written.pool !== undefined && { pool: nameOf(written.pool as PoolReference) }),
      },
    },
    registered: draft.registered as Registered<ProviderDefinition>,
    unavailable: draft.unavailable,
  };
}
