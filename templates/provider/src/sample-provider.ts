/**
 * A provider that writes a heartbeat, the time and a count, into a region of a warabi provider that it depends on.
 *
 * The daemon calls `start` when the providers before this one are up, and `stop` before they stop: the store can be used from the
 * first line of `start` to the last of `stop`. `PUT …/settings` changes the settings while it runs.
 */
import { defineRoute, jsonBody } from 'bedrock-node';
import type { Provider, ProviderContext, ProviderDependency, RegionId, Target } from 'bedrock-node';
import type { SampleConfig } from './config.js';

/** Two numbers of 64 bits, little-endian: milliseconds since the epoch, heartbeats so far. */
export const HEARTBEAT_BYTES = 16;

export const SAMPLE_SCHEMA = new URL('../schema.json', import.meta.url);

export class SampleProvider implements Provider {
  /** Nothing that the region routes serve: it is no blob store. */
  readonly targets = [];
  /** Served below `/v1/providers/{name}`; the body that the handler gets has been checked, and has the defaults. */
  readonly routes = [
    defineRoute({
      method: 'PUT',
      path: '/settings',
      summary: 'Change the settings until the daemon stops',
      body: jsonBody<SampleConfig>(SAMPLE_SCHEMA),
      handle: ({ body }) => {
        this.#config = body;
        this.#schedule();
        return this.#config;
      },
    }),
  ];
  #config: SampleConfig;
  readonly #context: ProviderContext<{ store: ProviderDependency }>;
  readonly #store: Target;
  readonly #heartbeats;
  #region: RegionId | undefined;
  #count = 0n;
  #timer: NodeJS.Timeout | undefined;
  /** The heartbeat that is being written, if there is one. */
  #beating: Promise<void> | undefined;

  constructor(config: SampleConfig, context: ProviderContext<{ store: ProviderDependency }>) {
    this.#config = config;
    this.#context = context;
    this.#store = firstTargetOf(context.dependencies.store);
    // Served at /metrics, with the provider's name as a further label.
    this.#heartbeats = context.metrics.counter({
      name: 'sample_heartbeats_total',
      help: 'Heartbeats, by what became of them.',
      labels: ['outcome'],
    });
  }

  async start(): Promise<void> {
    this.#region = await this.#store.create(HEARTBEAT_BYTES);
    const fields = { region: this.#region.toString() };
    this.#context.logger.info(`beating every ${this.#config.interval_ms} ms`, fields);
    this.#schedule();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
    if (this.#region !== undefined) await this.#store.erase(this.#region);
  }

  /** What the daemon shows as the settings of this provider: those that hold now. */
  getConfig(): Readonly<Record<string, unknown>> {
    return { ...this.#config };
  }

  #schedule(): void {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      // One at a time: while a slow store writes one, none is begun.
      this.#beating ??= this.#beat().finally(() => (this.#beating = undefined));
    }, this.#config.interval_ms);
  }

  async #beat(): Promise<void> {
    if (this.#region === undefined) return;
    const bytes = Buffer.alloc(HEARTBEAT_BYTES);
    bytes.writeBigUInt64LE(BigInt(this.#context.clock.now()));
    bytes.writeBigUInt64LE(++this.#count, 8);
    try {
      await this.#store.write(this.#region, 0, bytes);
      this.#heartbeats.inc(1, { outcome: 'written' });
    } catch (error) {
      this.#heartbeats.inc(1, { outcome: 'failed' });
      this.#context.logger.warning('a heartbeat was not written', { error: String(error) });
    }
  }
}

/** The first target of the provider that the configuration names. */
function firstTargetOf({ targets: [target] }: ProviderDependency): Target {
  if (target === undefined) throw new Error('the store has no target');
  return target;
}
