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
   * Maximum size of all regions together, bytes; default 1 GiB.
   */
  max_bytes: number;
}
