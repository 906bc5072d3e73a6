/**
 * A provider that writes a heartbeat, the time and a count, into a region of a warabi provider that it depends on.
 *
 * The daemon calls `start` when the providers before this one are up, and `stop` before they stop: the store can be used from the
 * first line of `start` to the last of `stop`.
 */
import type { Provider, ProviderContext, RegionId, Target } from 'bedrock-node';
import type { SampleConfig } from './config.js';

/** Two numbers of 64 bits, little-endian: milliseconds since the epoch, heartbeats so far. */
export const HEARTBEAT_BYTES = 16;

export class SampleProvider implements Provider {
  /** Nothing that the region routes serve: it is no blob store. */
  readonly targets = [];
  readonly #intervalMs: number;
  readonly #context: ProviderContext;
  readonly #store: Target;
  #region: RegionId | undefined;
  #count = 0n;
  #timer: NodeJS.Timeout | undefined;
  /** The heartbeat that is being written, if there is one. */
  #beating: Promise<void> = Promise.resolve();

  constructor(config: SampleConfig, context: ProviderContext) {
    this.#intervalMs = config.interval_ms;
    this.#context = context;
    this.#store = storeOf(context);
  }

  async start(): Promise<void> {
    this.#region = await this.#store.create(HEARTBEAT_BYTES);
    this.#context.logger.info(`beating every ${this.#intervalMs} ms`, { region: this.#region.toString() });
    this.#timer = setInterval(() => {
      this.#beating = this.#beat();
    }, this.#intervalMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
    if (this.#region !== undefined) await this.#store.erase(this.#region);
  }

  async #beat(): Promise<void> {
    if (this.#region === undefined) return;
    const bytes = Buffer.alloc(HEARTBEAT_BYTES);
    bytes.writeBigUInt64LE(BigInt(this.#context.clock.now()));
    bytes.writeBigUInt64LE(++this.#count, 8);
    try {
      await this.#store.write(this.#region, 0, bytes);
    } catch (error) {
      this.#context.logger.warning('a heartbeat was not written', { error: String(error) });
    }
  }
}

/** The first target of the provider that the configuration names. */
function storeOf({ dependencies }: ProviderContext): Target {
  const store = dependencies.store as Provider;
  const [target] = store.targets;
  if (target === undefined) throw new Error('the store has no target');
  return target;
}
