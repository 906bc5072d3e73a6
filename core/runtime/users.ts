/** Finds the users of a part of a configuration. A part that is in use cannot be removed. */
import type { ResolvedConfig, ResolvedProvider, ResolvedReference } from '../config/resolved-config.js';

/** The providers that depend on a provider, each as text with the key of its dependency. */
export function usersOfProvider({ providers }: ResolvedConfig, name: string): string[] {
  return providers.flatMap((provider) =>
    keysTo(provider, (reference) => 'provider' in reference && reference.provider === name),
  );
}

/** The parts of a configuration that name an execution pool, each as text. */
export function usersOfPool({ json, providers }: ResolvedConfig, name: string): string[] {
  const { margo, bedrock, abt_io: io = [], mona = [] } = json;
  const named = <T extends { name?: string }>(kind: string, list: readonly T[], uses: (one: T) => boolean) =>
    list.filter(uses).map((one) => `${kind} "${one.name ?? ''}"`);
  return [
    ...named('provider', providers, ({ pool }) => pool === name),
    ...providers.flatMap((provider) =>
      keysTo(provider, (reference) => 'pool' in reference && reference.pool === name),
    ),
    ...named('execution stream', margo?.argobots?.xstreams ?? [], ({ scheduler }) =>
      scheduler.pools.includes(name),
    ),
    ...(margo?.rpc_pool === name ? ['margo.rpc_pool'] : []),
    ...(margo?.progress_pool === name ? ['margo.progress_pool'] : []),
    ...(bedrock?.pool === name ? ['bedrock.pool'] : []),
    ...named('ABT-IO instance', io, ({ pool }) => pool === name),
    ...named('MoNA instance', mona, ({ pool }) => pool === name),
  ];
}

function keysTo(
  { name, dependencies }: ResolvedProvider,
  leads: (reference: ResolvedReference) => boolean,
): string[] {
  return Object.entries(dependencies)
    .filter(([, references]) => [references].flat().some(leads))
    .map(([key]) => `provider "${name}" (its dependency "${key}")`);
}
