/** Made from schema.json by `bedrock types`: do not edit. */

/**
 * Settings of a sample provider.
 */
export interface SampleConfig {
  /**
   * How long to wait from one heartbeat to the next, milliseconds.
   */
  interval_ms: number;
}
