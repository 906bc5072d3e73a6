/** Lists of named things, as sections of a configuration hold them before it is known that they are valid. */
import type { ConfigPath } from '../validation/issues.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';

/** The entries of a list, an empty one for each that is no object; none if it is no list. */
export function entriesOf(list: unknown): Record<string, unknown>[] {
  return Array.isArray(list) ? list.map((entry: unknown) => (isObject(entry) ? entry : {})) : [];
}

/** Reports each name of a list that an entry before has already. */
export function reportDuplicates(list: unknown, path: ConfigPath, faults: FaultList): void {
  const seen = new Set<unknown>();
  entriesOf(list).forEach(({ name }, index) => {
    if (typeof name !== 'string') return;
    if (seen.has(name)) faults.add([...path, index, 'name'], `the name "${name}" is used twice`);
    seen.add(name);
  });
}
