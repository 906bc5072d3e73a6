/** Made from schema.json by `bedrock types`: do not edit. */

/**
 * Settings of a sample target.
 */
export interface SampleConfig {
  /**
   * Maximum size of all regions together, bytes; default 1 GiB.
   */
  max_bytes: number;
}
