/** Made from schema.json by `bedrock types`: do not edit. */

/**
 * Settings of a sample target.
 */
export interface SampleConfig {
  /**
   * Most bytes that all regions together may have; 1 GiB unless told.
   */
  max_bytes: number;
}
