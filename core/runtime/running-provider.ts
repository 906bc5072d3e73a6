/** A provider of a running daemon, as the doors and the administration see it. */
import type { Logger } from '../base/logging.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { ProviderState } from '../contract/provider-state.js';
import type { Provider } from '../contract/provider.js';
import type { Target } from '../contract/target.js';
import type { OperationMeter } from './operation-meter.js';
import type { RouteTable } from './route-table.js';
import type { Sequence } from './sequence.js';

/** One provider and what the daemon knows of it. */
export interface RunningProvider {
  readonly name: string;
  readonly type: string;
  readonly providerId: number;
  readonly tags: readonly string[];
  readonly pool: ExecutionPool;
  readonly logger: Logger;
  readonly targets: readonly Target[];
  /** What the front doors did to each target. */
  readonly meters: readonly OperationMeter[];
  readonly state: ProviderState;
  /** What `create` of its type gave; nothing before, and nothing if it could not start. */
  readonly instance: Provider | undefined;
  /** Its own routes. */
  readonly routes: RouteTable;
  /** Snapshots and the like, one after another. */
  readonly administration: Sequence;
  /** Its settings as they are now. */
  readonly config: Readonly<Record<string, unknown>>;
}
