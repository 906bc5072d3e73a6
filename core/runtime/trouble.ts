/** Why a provider does not do its work, as health checks report it. */
export interface Trouble {
  readonly provider: string;
  /** Number of the target, if it concerns one. */
  readonly target?: number;
  /** The dependency that the provider does not get: a reference of the configuration. */
  readonly dependency?: string;
  readonly reason: string;
}
