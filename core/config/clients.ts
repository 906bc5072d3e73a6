/**
 * The clients of Mochi's components. The daemon does not use them, but a client that Bedrock would
 * refuse is a mistake in the file, and is reported like any other: its shape by the schema, its
 * name and type here.
 */
import type { TypeRegistry } from '../library/registry.js';
import type { FaultList } from './fault-list.js';
import { entriesOf, reportDuplicates } from './named-entries.js';

export function checkClients(root: Record<string, unknown>, registry: TypeRegistry, faults: FaultList): void {
  reportDuplicates(root.clients, ['clients'], faults);
  entriesOf(root.clients).forEach(({ type }, index) => {
    if (typeof type !== 'string' || registry.provider(type) !== undefined) return;
    faults.add(['clients', index, 'type'], registry.unknown('provider', type));
  });
}
