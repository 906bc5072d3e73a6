/**
 * The differences between the running configuration and another one, and which of them a running
 * daemon cannot adopt.
 */
import { isDeepStrictEqual } from 'node:util';
import { plainOf } from '../base/plain.js';
import { specsOfResolved } from '../config/dependencies.js';
import type { Resolution } from '../config/resolve.js';
import type { ResolvedProvider, ResolvedReference } from '../config/resolved-config.js';
import type { TypeRegistry } from '../library/registry.js';
import type { ManagedProvider } from './managed-provider.js';

type References = ResolvedReference | readonly ResolvedReference[];

/** Another dependency for a provider that keeps running. */
export interface ChangedDependency {
  readonly provider: ManagedProvider;
  /** Its key in the configuration. */
  readonly name: string;
  readonly before: References;
  readonly after: References;
}

export interface Difference {
  /** The providers to start, in order. */
  readonly added: readonly ResolvedProvider[];
  readonly dependencies: readonly ChangedDependency[];
  /** The differences that a running daemon cannot adopt, each with its reason. */
  readonly refused: readonly string[];
}

/** Compares the providers only: execution pools and libraries can be added and removed freely. */
export function differenceOf(
  running: readonly ManagedProvider[],
  { config: wanted, registry }: Pick<Resolution, 'config' | 'registry'>,
): Difference {
  const added: ResolvedProvider[] = [];
  const dependencies: ChangedDependency[] = [];
  const refused: string[] = [];
  for (const after of wanted.providers) {
    const provider = running.find(({ name }) => name === after.name);
    if (provider === undefined) {
      added.push(after);
      continue;
    }
    // It does not run, so it can simply be started again.
    if (provider.state === 'failed') {
      if (!isSame(provider.resolved, after)) added.push(after);
      continue;
    }
    refused.push(...fixedChanges(provider, after).map((what) => `provider "${after.name}": ${what}`));
    for (const name of changedKeys(provider.resolved, after)) {
      const fault = faultOfChange(provider, after, name, registry);
      if (fault === undefined)
        dependencies.push({
          provider,
          name,
          before: provider.resolved.dependencies[name] as References,
          after: after.dependencies[name] as References,
        });
      else refused.push(`provider "${after.name}": ${fault}`);
    }
  }
  return { added, dependencies, refused };
}

const CURE = 'remove it and add it again';

function fixedChanges({ resolved: before, config }: ManagedProvider, after: ResolvedProvider): string[] {
  const changes: string[] = [];
  const note = (what: string, isChanged: boolean): void => {
    if (isChanged) changes.push(`its ${what} cannot change while it runs; ${CURE}`);
  };
  note('type', before.type !== after.type);
  note('provider_id', before.providerId !== after.providerId);
  note('tags', !isSamePlain(before.tags, after.tags));
  // Its settings are those that it was created with, or its present ones, which a printed
  // configuration has.
  note('config', !isSamePlain(before.config, after.config) && !isSamePlain(config, after.config));
  return changes;
}

function isSame(before: ResolvedProvider, after: ResolvedProvider): boolean {
  return (
    before.type === after.type &&
    before.providerId === after.providerId &&
    before.unavailable === after.unavailable &&
    isSamePlain(before.tags, after.tags) &&
    isSamePlain(before.config, after.config) &&
    changedKeys(before, after).length === 0
  );
}

/** Compares plain copies: a library's own objects may be anything. */
function isSamePlain(one: unknown, other: unknown): boolean {
  const limits = { values: Infinity, characters: Infinity, depth: 100 };
  return isDeepStrictEqual(plainOf(one, limits), plainOf(other, limits));
}

function changedKeys(
  { dependencies: before }: ResolvedProvider,
  { dependencies: after }: ResolvedProvider,
): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => !isSamePlain(meaningOf(before[name]), meaningOf(after[name])));
}

/** What references lead to, independent of how they are written. */
function meaningOf(references: References | undefined): unknown {
  if (references === undefined) return undefined;
  return [references].flat().map((reference) => {
    if (!('remote' in reference)) return reference;
    const { url, target, type } = reference.remote;
    return { url, target, type, isRequired: reference.isRequired };
  });
}

function faultOfChange(
  { resolved, instance }: ManagedProvider,
  after: ResolvedProvider,
  name: string,
  registry: TypeRegistry,
): string | undefined {
  const what = `its dependency "${name}" cannot be`;
  if (after.dependencies[name] === undefined) return `${what} taken away while it runs; ${CURE}`;
  const spec = specsOfResolved(resolved, registry).find((one) => one.name === name);
  if (spec?.updatable !== true || spec.type === 'pool' || typeof instance?.changeDependency !== 'function')
    return `${what} changed while it runs; ${CURE}`;
  return undefined;
}
