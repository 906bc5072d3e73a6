/** Made from schema.json by `bedrock types`: do not edit. */

/**
 * Settings of a sample target.
 */
export interface SampleConfig {
  /**
   * Folder of the regions, counted from the configuration file's folder; made if it is not there.
   */
  path: string;
  /**
   * Most bytes that all regions together may have; 1 GiB unless told.
   */
  max_bytes: number;
}
