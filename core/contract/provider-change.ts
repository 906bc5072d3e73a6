/** Changes of a provider that runs. */

/** A reference, or a list of them, as in a configuration under `dependencies`. */
export type WrittenReference = string | readonly string[];

/** What changes at a provider; all of it, or nothing. */
export interface ProviderChange {
  /**
   * Its execution pool from now on, by name or position. Requests that already wait are admitted by
   * the execution pool that they wait in.
   */
  readonly pool?: string | number;
  /**
   * Other dependencies, by their keys in the configuration. Its type must declare them updatable.
   * Those that are not named stay.
   */
  readonly dependencies?: Readonly<Record<string, WrittenReference>>;
}
