/**
 * The running configuration: the one that the daemon was started with, and the changes since
 * (changes.ts). It prints itself; the printed form can be used as a configuration again.
 */
import type { BedrockConfig } from '../../schemas/generated/bedrock.js';
import { isRecord, plainOf } from '../base/plain.js';
import type { Resolution } from '../config/resolve.js';
import type { DaemonSettings, ResolvedConfig } from '../config/resolved-config.js';
import type { TypeRegistry } from '../library/registry.js';

export class RunningConfig {
  /** The configuration that the daemon was started with: where it listens, and the limits of its doors. */
  readonly start: ResolvedConfig;
  #resolution: Resolution;
  /** Addresses of the doors, with the real ports. */
  #address: string | undefined;
  #respAddress: string | undefined;

  /** Called after each change. */
  onAdopted: (() => void) | undefined;

  constructor(resolution: Resolution) {
    this.start = resolution.config;
    this.#resolution = resolution;
  }

  /** The present configuration, with the addresses of the doors as they were written. */
  get current(): ResolvedConfig {
    return this.#resolution.config;
  }

  /** With the libraries. */
  get resolution(): Resolution {
    return this.#resolution;
  }

  get settings(): DaemonSettings {
    return this.current.settings;
  }

  get registry(): TypeRegistry {
    return this.#resolution.registry;
  }

  /** Base folder of relative paths. */
  get directory(): string {
    return this.start.directory;
  }

  /** The execution streams, each with its execution pools. */
  get streams(): { name: string; pools: string[] }[] {
    const { xstreams = [] } = this.current.json.margo?.argobots ?? {};
    return xstreams.map(({ name, scheduler }, index) => ({
      name: name ?? String(index),
      pools: scheduler.pools.map(String),
    }));
  }

  /** Replaces the configuration after a change. */
  adopt(resolution: Resolution): void {
    this.#resolution = resolution;
    this.onAdopted?.();
  }

  /** A copy in Bedrock's form. @param providers the running ones, for their present settings */
  print(
    providers: readonly { readonly name: string; readonly config: Readonly<Record<string, unknown>> }[],
  ): BedrockConfig {
    const printed = structuredClone(this.current.json);
    const { mercury } = printed.margo ?? {};
    if (mercury !== undefined && this.#address !== undefined) mercury.address = this.#address;
    const { resp } = printed.bedrock ?? {};
    if (resp !== undefined && this.#respAddress !== undefined) resp.address = this.#respAddress;
    for (const entry of printed.providers ?? []) {
      const { config = {} } = providers.find(({ name }) => name === entry.name) ?? {};
      // A provider may return its own object, or one that cannot be read.
      const plain = plainOf(config, { values: Infinity, characters: Infinity, depth: 100 });
      entry.config = isRecord(plain) ? plain : {};
    }
    return printed;
  }

  /** Address of the HTTP door, with the real port. */
  setAddress(address: string): void {
    this.#address = address;
  }

  /** Address of the Redis door, with the real port. */
  setRespAddress(address: string): void {
    this.#respAddress = address;
  }
}
