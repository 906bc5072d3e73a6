/**
 * `bedrock top`: what a daemon does, as it changes. It asks for the status at each interval; a
 * daemon that goes away is asked again until it is back.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { asBedrockError } from '../base/errors.js';
import type { Service } from '../client/service.js';
import type { DaemonStatus } from '../contract/daemon-status.js';
import { type AddressOptions, connectTo, defaultAddress, withAddress } from './client-command.js';
import { subcommand } from './command-line.js';
import { Interrupted, UsageError } from './failure.js';
import { interruptible } from './interruption.js';
import { print, printJson } from './output.js';
import { Screen } from './screen.js';
import { checkCertificatesAreUsed } from './tls-options.js';
import { FigureHistory, type TopFigures } from './top-figures.js';
import { SORT_KEYS, type SortKey, viewOf } from './top-view.js';

const EXAMPLES = `
Examples:
  bedrock top
  bedrock top -a resp://host:7481 --interval 5 --sort used
  bedrock top --once
  bedrock top --once --json | jq .total.operationsPerSecond

Keys: q ends it, s sorts by the next of ${SORT_KEYS.join(', ')}.
--once prints the figures of one interval, and ends. With --json they are an object on one line; without --once, one for each
interval. docs/cli.md has its form. Standard output must be a terminal, or --once or --json be given.
`;

const DEFAULT_INTERVAL_S = 1;
const MIN_INTERVAL_S = 0.1;
const MAX_INTERVAL_S = 3600;
/** A daemon that takes longer to answer counts as gone. */
const MIN_TIMEOUT_MS = 5000;

interface TopOptions extends AddressOptions {
  interval: number;
  sort: SortKey;
  once?: boolean;
  json?: boolean;
}

export function addTop(program: Command): void {
  withAddress(subcommand(program, 'top'))
    .description(
      'Show what a daemon does, as it changes: rates, latencies, space, execution pools, connections.',
    )
    .option('--interval <SECONDS>', 'time between two looks', parseInterval, DEFAULT_INTERVAL_S)
    .addOption(new Option('--sort <KEY>', 'order of the targets').choices(SORT_KEYS).default('ops'))
    .option('--once', 'print the figures of one interval, and end')
    .option('--json', 'objects, see below')
    .addHelpText('after', EXAMPLES)
    .action((options: TopOptions) => {
      if (options.once !== true && options.json !== true && !Screen.isPossible())
        throw new UsageError(
          'bedrock top: standard output is no terminal; use --once, or --json, which prints a line for each interval',
        );
      checkCertificatesAreUsed([options.address ?? defaultAddress()], options);
      return interruptible(async (signal) => {
        const { look, first } = await Look.begin(options, signal);
        if (options.once === true) await once(look, options);
        else if (options.json === true) await lines(look, signal);
        else await new LiveView(look, first, options.sort).run(signal);
      });
    });
}

/** @throws InvalidArgumentError */
function parseInterval(text: string): number {
  const seconds = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (seconds >= MIN_INTERVAL_S && seconds <= MAX_INTERVAL_S) return seconds;
  throw new InvalidArgumentError(`It takes seconds, from ${MIN_INTERVAL_S} to ${MAX_INTERVAL_S}.`);
}

/** Asks the daemon again and again; connects again after a failure. */
class Look {
  #service: Service | undefined;
  readonly #timeoutMs: number;

  private constructor(
    private readonly options: TopOptions,
    private readonly signal: AbortSignal,
    readonly history: FigureHistory,
  ) {
    this.#timeoutMs = Math.max(MIN_TIMEOUT_MS, options.interval * 1000);
  }

  /** Looks once, so that a daemon that is not there is an error at once. */
  static async begin(options: TopOptions, signal: AbortSignal): Promise<{ look: Look; first: TopFigures }> {
    const look = new Look(options, signal, await FigureHistory.load());
    return { look, first: await look.again() };
  }

  get address(): string {
    return this.options.address ?? defaultAddress();
  }

  async again(): Promise<TopFigures> {
    return this.history.take(await this.#status(), this.address);
  }

  async #status(): Promise<DaemonStatus> {
    const call = { signal: this.signal, timeoutMs: this.#timeoutMs };
    try {
      this.#service ??= await connectTo(this.address, this.options, call);
      return await this.#service.status(call);
    } catch (error) {
      // Its connections may be broken, or its token be replaced by another one in the file.
      const broken = this.#service;
      this.#service = undefined;
      broken?.close().catch(() => undefined);
      throw error;
    }
  }

  /** @throws the reason of the signal */
  async wait(): Promise<void> {
    const { signal } = this;
    await delay(this.options.interval * 1000, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

async function once(look: Look, { json, sort }: TopOptions): Promise<void> {
  await look.wait();
  const figures = await look.again();
  if (json === true) return printJson(figures);
  const view = { columns: Infinity, rows: Infinity, sort, isKnown: look.history.isKnown };
  await print(
    viewOf(figures, view)
      .map(({ text }) => `${text}\n`)
      .join(''),
  );
}

/** One object for each interval, until nobody reads them. */
async function lines(look: Look, signal: AbortSignal): Promise<never> {
  for (;;) {
    await look.wait();
    let shown: object;
    try {
      shown = await look.again();
    } catch (error) {
      signal.throwIfAborted();
      const { code, message } = asBedrockError(error);
      shown = { time: Date.now(), address: look.address, error: { code, message } };
    }
    await printJson(shown);
  }
}

class LiveView {
  #trouble: string | undefined;
  /** Ends `run`. */
  #end: (error?: Error) => void = () => undefined;
  readonly #screen = new Screen({ onKey: (key) => this.#onKey(key), onResize: () => this.#draw() });

  constructor(
    private readonly look: Look,
    private figures: TopFigures,
    private sort: SortKey,
  ) {}

  /** @throws Interrupted by Ctrl-C, the reason of the signal */
  async run(signal: AbortSignal): Promise<void> {
    const ended = new Promise<void>((resolve, reject) => {
      this.#end = (error) => (error === undefined ? resolve() : reject(error));
    });
    this.#screen.open();
    try {
      await Promise.race([ended, this.#follow(signal)]);
    } finally {
      this.#screen.close();
    }
  }

  async #follow(signal: AbortSignal): Promise<never> {
    for (;;) {
      this.#draw();
      await this.look.wait();
      try {
        this.figures = await this.look.again();
        this.#trouble = undefined;
      } catch (error) {
        signal.throwIfAborted();
        const { code, message } = asBedrockError(error);
        this.#trouble = `${code}, trying again: ${message}`;
      }
    }
  }

  #onKey(key: string): void {
    if (key === 'q' || key === 'Q') this.#end();
    else if (key === '\x03') this.#end(new Interrupted('SIGINT'));
    else if (key === 's' || key === 'S') {
      const next = (SORT_KEYS.indexOf(this.sort) + 1) % SORT_KEYS.length;
      this.sort = SORT_KEYS[next] ?? 'ops';
      this.#draw();
    }
  }

  #draw(): void {
    const { columns, rows } = this.#screen;
    this.#screen.draw(
      viewOf(this.figures, {
        ...{ columns, rows, sort: this.sort, isKnown: this.look.history.isKnown },
        trouble: this.#trouble,
        help: `q quit   s sort: ${this.sort}`,
      }),
    );
  }
}
