/** Execution pools and streams: names are unique, and references lead somewhere. */
import type {
  ExecutionPoolConfig,
  ExecutionStreamConfig,
  PoolReference,
} from '../../schemas/generated/bedrock.js';
import { type ConfigIssue, type ConfigPath, expected } from '../validation/issues.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';
import { entriesOf, reportDuplicates } from './named-entries.js';

/** The execution pool that always exists. */
export const PRIMARY_POOL = '__primary__';

const PRIMARY: Required<ExecutionPoolConfig> = {
  name: PRIMARY_POOL,
  kind: 'fifo_wait',
  access: 'mpmc',
  max_in_flight: 256,
  max_queued: 4096,
};

export interface ResolvedPools {
  readonly all: readonly Required<ExecutionPoolConfig>[];
  readonly streams: readonly ExecutionStreamConfig[];
  /** The execution pool of providers that name none. */
  readonly default: string;
  /**
   * Name of the execution pool that a reference (name or position) leads to; undefined if there is
   * none, which is reported at `path`.
   */
  find(reference: unknown, path: ConfigPath, code?: ConfigIssue['code']): string | undefined;
  /** The name of the execution pool that a reference leads to; the reference itself if it leads nowhere. */
  readonly nameOf: (reference: PoolReference) => PoolReference;
}

/**
 * Lists the execution pools, including __primary__, and checks every reference to one outside the
 * providers.
 */
export function resolvePools(root: Record<string, unknown>, faults: FaultList): ResolvedPools {
  const margo = isObject(root.margo) ? root.margo : {};
  const argobots = isObject(margo.argobots) ? margo.argobots : {};
  const path = ['margo', 'argobots'];
  const listed = withNames(argobots.pools, 'pool') as unknown as Required<ExecutionPoolConfig>[];
  const streams = withNames(argobots.xstreams, 'xstream');
  reportDuplicates(listed, [...path, 'pools'], faults);
  if (!listed.some((pool) => pool.name === PRIMARY_POOL)) listed.push(PRIMARY);
  const known = listed.flatMap(({ name }, position) =>
    typeof name === 'string' ? [`${name} (${position})`] : [],
  );

  const find: ResolvedPools['find'] = (reference, at, code) => {
    const pool =
      typeof reference === 'number' ? listed[reference] : listed.find(({ name }) => name === reference);
    if (pool === undefined) {
      const allowed = `the name or the position of an execution pool: ${known.join(', ')}`;
      faults.add(at, expected(reference, allowed), code);
    }
    return pool?.name;
  };
  const check = (reference: unknown, at: ConfigPath): string | undefined =>
    typeof reference === 'string' || Number.isInteger(reference) ? find(reference, at) : undefined;

  checkStreams(streams, [...path, 'xstreams'], check, faults);
  check(margo.progress_pool, ['margo', 'progress_pool']);
  if (isObject(root.bedrock)) check(root.bedrock.pool, ['bedrock', 'pool']);
  for (const section of ['abt_io', 'mona']) {
    reportDuplicates(root[section], [section], faults);
    entriesOf(root[section]).forEach((instance, index) => check(instance.pool, [section, index, 'pool']));
  }
  return {
    nameOf: (reference) =>
      typeof reference === 'number' ? (listed[reference]?.name ?? reference) : reference,
    all: listed,
    streams: streams as unknown as ExecutionStreamConfig[],
    default: check(margo.rpc_pool, ['margo', 'rpc_pool']) ?? PRIMARY_POOL,
    find,
  };
}

function checkStreams(
  streams: readonly Record<string, unknown>[],
  path: ConfigPath,
  check: (reference: unknown, path: ConfigPath) => void,
  faults: FaultList,
): void {
  reportDuplicates(streams, path, faults);
  streams.forEach((stream, index) => {
    const pools =
      isObject(stream.scheduler) && Array.isArray(stream.scheduler.pools) ? stream.scheduler.pools : [];
    pools.forEach((pool, position) => check(pool, [...path, index, 'scheduler', 'pools', position]));
  });
  if (streams.length > 1)
    faults.warn(path, 'execution streams add no parallelism: requests run on one thread');
}

/** Entries without a name get one, as in Margo: by position, or the next free number. */
function withNames(list: unknown, kind: 'pool' | 'xstream'): Record<string, unknown>[] {
  const entries = entriesOf(list);
  const taken = new Set(entries.map(({ name }) => name));
  return entries.map((entry, position) => {
    if (entry.name !== undefined) return entry;
    let number = position;
    while (taken.has(`__${kind}_${number}__`)) number++;
    const name = `__${kind}_${number}__`;
    taken.add(name);
    return { ...entry, name };
  });
}
