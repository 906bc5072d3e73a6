/** A provider of a running daemon, as the doors and the administration see it. */
import type { Logger } from '../base/logging.js';
import type { Provider } from '../contract/provider.js';
import type { RequestCount } from './request-count.js';
import type { RouteTable } from './route-table.js';
import type { Sequence } from './sequence.js';
import type { ServedTarget, ServingProvider } from './served-target.js';
import type { Trouble } from './trouble.js';

/** A provider and what the daemon knows about it. */
export interface RunningProvider extends ServingProvider {
  readonly type: string;
  readonly tags: readonly string[];
  readonly logger: Logger;
  /** A target, as the doors serve it; undefined if there is none with that number. */
  served(index: number): ServedTarget | undefined;
  /** The result of its type's `create`; undefined before, and if it could not start. */
  readonly instance: Provider | undefined;
  /** The requests in flight at it: at its targets and its own routes. */
  readonly requests: RequestCount;
  /** Asks the daemons that it depends on. @returns those of its dependencies that are not there */
  missingDependencies(timeoutMs: number): Promise<Trouble[]>;
  /** Its own routes. */
  readonly routes: RouteTable;
  /** Runs snapshots and similar requests one after another. */
  readonly administration: Sequence;
  /** Its present settings. */
  readonly config: Readonly<Record<string, unknown>>;
}
