/** Execution pools and streams: names that are unique, references that lead somewhere. */
import type { ExecutionPoolConfig } from '../../schemas/generated/bedrock.js';
import { type ConfigIssue, type ConfigPath, expected } from '../validation/issues.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';
import { entriesOf, reportDuplicates } from './named-entries.js';

/** The pool that always exists. */
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
  /** Pool of providers that name none. */
  readonly default: string;
  /** Name of the pool that a reference (name or position) means; nothing if it means none, which is reported at `path`. */
  find(reference: unknown, path: ConfigPath, code?: ConfigIssue['code']): string | undefined;
}

/** Lists the pools, __primary__ included, and checks every reference to one outside the providers. */
export function resolvePools(root: Record<string, unknown>, faults: FaultList): ResolvedPools {
  const margo = isObject(root.margo) ? root.margo : {};
  const argobots = isObject(margo.argobots) ? margo.argobots : {};
  const path = ['margo', 'argobots'];
  nameNameless(argobots.pools, 'pool');
  nameNameless(argobots.xstreams, 'xstream');
  reportDuplicates(argobots.pools, [...path, 'pools'], faults);
  const listed = entriesOf(argobots.pools) as unknown as Required<ExecutionPoolConfig>[];
  if (!listed.some((pool) => pool.name === PRIMARY_POOL)) {
    listed.push({ ...PRIMARY });
    if (Array.isArray(argobots.pools)) argobots.pools.push({ ...PRIMARY });
  }
  const known = listed.flatMap(({ name }, position) =>
    typeof name === 'string' ? [`${name} (${position})`] : [],
  );

  const find: ResolvedPools['find'] = (reference, place, code) => {
    const pool =
      typeof reference === 'number' ? listed[reference] : listed.find(({ name }) => name === reference);
    if (pool === undefined) {
      const allowed = `the name or the position of an execution pool: ${known.join(', ')}`;
      faults.add(place, expected(reference, allowed), code);
    }
    return pool?.name;
  };
  const check = (reference: unknown, place: ConfigPath): string | undefined =>
    typeof reference === 'string' || Number.isInteger(reference) ? find(reference, place) : undefined;

  checkStreams(argobots.xstreams, [...path, 'xstreams'], check, faults);
  check(margo.progress_pool, ['margo', 'progress_pool']);
  if (isObject(root.bedrock)) check(root.bedrock.pool, ['bedrock', 'pool']);
  for (const section of ['abt_io', 'mona']) {
    reportDuplicates(root[section], [section], faults);
    entriesOf(root[section]).forEach((instance, index) => check(instance.pool, [section, index, 'pool']));
  }
  return { all: listed, default: check(margo.rpc_pool, ['margo', 'rpc_pool']) ?? PRIMARY_POOL, find };
}

function checkStreams(
  streams: unknown,
  path: ConfigPath,
  check: (reference: unknown, place: ConfigPath) => void,
  faults: FaultList,
): void {
  reportDuplicates(streams, path, faults);
  const listed = entriesOf(streams);
  listed.forEach((stream, index) => {
    const pools =
      isObject(stream.scheduler) && Array.isArray(stream.scheduler.pools) ? stream.scheduler.pools : [];
    pools.forEach((pool, place) => check(pool, [...path, index, 'scheduler', 'pools', place]));
  });
  if (listed.length > 1)
    faults.warn(path, 'execution streams add no parallelism: requests run on one thread');
}

/** Gives those without a name one, as Margo does: by position, or the next number that is free. */
function nameNameless(list: unknown, kind: 'pool' | 'xstream'): void {
  const entries = entriesOf(list);
  const taken = new Set(entries.map(({ name }) => name));
  entries.forEach((entry, position) => {
    if (entry.name !== undefined) return;
    let number = position;
    while (taken.has(`__${kind}_${number}__`)) number++;
    entry.name = `__${kind}_${number}__`;
    taken.add(entry.name);
  });
}
