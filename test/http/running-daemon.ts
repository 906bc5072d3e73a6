/**
 * Daemons for the tests of the HTTP interface: real listeners at ports the system gives, and a client that reads whole answers.
 *
 * A test file calls `closeDaemons` after its tests.
 */
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from '@jest/globals';
import { Agent, type Dispatcher, request } from 'undici';
import type { Logger } from '../../core/base/logging.js';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import type { BedrockConfig, Daemon } from '../../core/index.js';

const GATED_LIBRARY = fileURLToPath(new URL('../fixtures/gated-library.ts', import.meta.url));

/** Longer than any test may take: what is no subject of a test never ends for its time. */
const PATIENCE_MS = 600_000;

type HttpSettings = NonNullable<NonNullable<BedrockConfig['bedrock']>['http']>;
type ProviderEntry = NonNullable<BedrockConfig['providers']>[number];

/** A store of type warabi over one memory target. */
export function memoryStore(name: string, id: number, config: { max_bytes?: number } = {}): ProviderEntry {
  return { name, type: 'warabi', provider_id: id, config: { target: { type: 'memory', config } } };
}

/** A store over one target of the gated library. */
export function gatedStore(name: string, id: number, config: { max_bytes?: number } = {}): ProviderEntry {
  return { name, type: 'warabi', provider_id: id, config: { target: { type: 'gated', config } } };
}

export interface DaemonOptions {
  http?: HttpSettings;
  drainTimeoutMs?: number;
  providers?: ProviderEntry[];
  /** Whether to load the gated library. */
  gated?: boolean;
  /** Further libraries. */
  libraries?: string[];
  margo?: NonNullable<BedrockConfig['margo']>;
  address?: string;
  /** Whether the address may be one that other machines can reach. */
  insecure?: boolean;
  logger?: Logger;
}

/** A configuration with the provider `store` unless told otherwise. */
export function configOf(options: DaemonOptions): BedrockConfig {
  return {
    margo: options.margo ?? {},
    bedrock: {
      ...(options.insecure === true && { insecure: true }),
      http: options.http ?? {},
      drain_timeout_ms: options.drainTimeoutMs ?? PATIENCE_MS,
    },
    libraries: [...(options.gated === true ? [GATED_LIBRARY] : []), ...(options.libraries ?? [])],
    providers: options.providers ?? [memoryStore('store', 42)],
  };
}

export interface CallOptions {
  headers?: Record<string, string>;
  body?: Dispatcher.DispatchOptions['body'];
}

/** A response, read to its end. */
export class Answer {
  constructor(
    readonly status: number,
    readonly headers: Record<string, string | string[] | undefined>,
    readonly bytes: Buffer,
  ) {}

  json(): unknown {
    return JSON.parse(this.bytes.toString());
  }

  /** The code of a problem; nothing if it is none. */
  get code(): unknown {
    return this.bytes.length === 0 ? undefined : (this.json() as { code?: unknown }).code;
  }
}

export interface Stats {
  regions: number;
  usedBytes: number;
}

export class RunningDaemon {
  readonly #agent: Agent;

  constructor(readonly daemon: Daemon) {
    const socketPath = daemon.address?.startsWith('unix:') === true ? daemon.address.slice(5) : undefined;
    this.#agent = new Agent({
      keepAliveTimeout: 10_000,
      // What hangs is left to the time-out of the test.
      bodyTimeout: 0,
      headersTimeout: 0,
      ...(socketPath !== undefined && { connect: { socketPath } }),
    });
  }

  get url(): string {
    const { address = '' } = this.daemon;
    return address.startsWith('unix:') ? 'http://localhost' : address;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  async call(method: string, path: string, { headers, body }: CallOptions = {}): Promise<Answer> {
    const response = await request(`${this.url}${path}`, {
      method,
      dispatcher: this.#agent,
      headers: headers ?? {},
      body: body ?? null,
    });
    const bytes = Buffer.from(await response.body.arrayBuffer());
    return new Answer(response.statusCode, response.headers, bytes);
  }

  /** Makes a region with contents. @returns its path */
  async regionOf(contents: Uint8Array, provider = 'store'): Promise<string> {
    // In-process: no time-out of the daemon under test may hit what is only a preparation.
    const id = await this.daemon.target(provider).createAndWrite(contents);
    return `/v1/providers/${provider}/regions/${id.toString()}`;
  }

  async stats(provider = 'store'): Promise<Stats> {
    return (await this.call('GET', `/v1/providers/${provider}/stats`)).json() as Stats;
  }

  async close(): Promise<void> {
    await this.daemon.close();
    await this.#agent.destroy();
  }
}

const running = new Set<RunningDaemon>();

export async function runDaemon(options: DaemonOptions = {}): Promise<RunningDaemon> {
  const { address = 'http://127.0.0.1:0', logger } = options;
  const daemon = await bootstrap(configOf(options), {
    address,
    ...(logger === undefined ? { logLevel: 'off' } : { logger }),
  });
  const started = new RunningDaemon(daemon);
  running.add(started);
  return started;
}

/** Closes every daemon that was run. */
export async function closeDaemons(): Promise<void> {
  await Promise.all([...running].map((daemon) => daemon.close()));
  running.clear();
}

/** Expects problem details (RFC 9457) with that code. */
export function expectProblem(answer: Answer, status: number, code: string): void {
  expect({ status: answer.status, code: answer.code }).toEqual({ status, code });
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(answer.json()).toMatchObject({
    title: expect.stringMatching(/./),
    status,
    detail: expect.stringMatching(/./),
  });
}

/** Looks until it sees what is right; what never comes is left to the time-out of the test, which should not end it first. */
export async function eventually<T>(look: () => T | Promise<T>, isRight: (value: T) => boolean): Promise<T> {
  const end = Date.now() + 250_000;
  for (;;) {
    const value = await look();
    if (isRight(value)) return value;
    if (Date.now() > end) throw new Error(`it did not come to pass: ${JSON.stringify(value)}`);
    await delay(10);
  }
}

/**
 * Lets the event loop turn so often that whatever is going to happen has happened: daemon and client are in this process, so what
 * one of them sends is with the other a turn later, however slow the machine. For what must not happen; for what must, wait for it.
 */
export async function turns(count = 50): Promise<void> {
  for (let done = 0; done < count; done++) await turn();
}

/** Whether a promise has settled after so many turns. */
export async function hasSettled(promise: Promise<unknown>): Promise<boolean> {
  const settled = (): boolean => true;
  return Promise.race([promise.then(settled, settled), turns().then(() => false)]);
}
