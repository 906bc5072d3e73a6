/** What a provider is to the daemon: targets it may hold, and a start and a stop. */
import type { Target } from '../target/index.js';

export interface Provider {
  /** Targets that the region routes serve; empty for a provider that is no blob store. */
  readonly targets: readonly Target[];

  /** Makes it ready to serve, recovery included. If it throws, `stop` is called. */
  start(): Promise<void>;

  /** Ends durable and gives everything back. Called once, after the requests in flight have ended. */
  stop(): Promise<void>;
}

/**
 * `failed` is an optional provider that could not start; the daemon runs without it.
 */
export type ProviderState = 'starting' | 'running' | 'stopping' | 'stopped' | 'failed';
