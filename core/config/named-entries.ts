/** Lists of named entries in sections of a configuration, before they are known to be valid. */
import type { ConfigPath } from '../validation/issues.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';

/**
 * The entries of a list, with an empty object for each entry that is not an object; empty if it is
 * not a list.
 */
export function entriesOf(list: unknown): Record<string, unknown>[] {
  return Array.isArray(list) ? list.map((entry: unknown) => (isObject(entry) ? entry : {})) : [];
}

/** Reports each name of a list that an earlier entry already has. */
export function reportDuplicates(list: unknown, path: ConfigPath, faults: FaultList): void {
  const seen = new Set<unknown>();
  entriesOf(list).forEach(({ name }, index) => {
    if (typeof name !== 'string') return;
    if (seen.has(name)) faults.add([...path, index, 'name'], `the name "${name}" is used twice`);
    seen.add(name);
  });
}
