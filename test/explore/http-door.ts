/**
 * The real HTTP door without a network: its request handler, Fastify included, and its connections.
 * The handler is made once, as that takes as long as some rounds; which target it serves changes
 * with each.
 */
import { createServer, type Server } from 'node:http';
import { Registry } from 'prom-client';
import type { DaemonSettings } from '../../core/config/resolved-config.js';
import { AnswerMemory } from '../../core/http/answer-memory.js';
import { buildHttpApp, type HttpApp } from '../../core/http/app.js';
import { Connections } from '../../core/http/connections.js';
import { deferContinue } from '../../core/http/continue.js';
import { BedrockError, type Logger } from '../../core/index.js';
import type { ProviderManager } from '../../core/runtime/provider-manager.js';
import type { RunningProvider } from '../../core/runtime/running-provider.js';
import type { MemoryDuplex } from './memory-duplex.js';

export const HOST = '127.0.0.1:7480';
/** Longer than any round takes: nobody is late here. */
const NEVER_MS = 2 ** 31 - 1;

const state = { isServing: true, isStopping: false };
let served: RunningProvider | undefined;
let failed: (error: unknown) => void = () => undefined;
let made: Promise<HttpApp> | undefined;

const quiet = (): void => undefined;
const fail = (message: string): void => failed(new Error(`the door's log says: ${message}`));
const logger: Logger = {
  critical: fail,
  error: fail,
  warning: fail,
  info: quiet,
  debug: quiet,
  trace: quiet,
  child: () => logger,
};

const providers = {
  find: () => served,
  get: (name: string): RunningProvider => {
    if (served === undefined) throw new BedrockError('PROVIDER_NOT_FOUND', `no provider ${name}`);
    return served;
  },
  all: [],
} as unknown as ProviderManager;

function makeApp(): Promise<HttpApp> {
  const http = {
    allowed_hosts: [],
    allowed_origins: [],
    dashboard: false,
    max_body_bytes: 2 ** 20,
    max_json_body_bytes: 2 ** 16,
    max_header_bytes: 2 ** 14,
    progress_timeout_ms: NEVER_MS,
  };
  return buildHttpApp(
    {
      address: { kind: 'tcp', host: '127.0.0.1', port: 7480, isSecure: false },
      settings: { http } as unknown as DaemonSettings,
      version: '0.0.0',
      logger,
      answers: new AnswerMemory(2 ** 26, logger),
      providers,
      metrics: new Registry(),
      config: () => ({}),
      status: () => Promise.resolve({}),
      connections: () => ({}),
      changes: undefined as never,
      queries: undefined as never,
      access: undefined,
      shutdown: quiet,
    },
    state,
  );
}

export class HttpDoor {
  readonly #server: Server;
  readonly #connections: Connections;

  private constructor({ handle }: HttpApp) {
    this.#server = createServer({ requireHostHeader: false, requestTimeout: 0 });
    this.#connections = new Connections(handle);
    this.#connections.watch(this.#server, NEVER_MS);
    this.#server.on('clientError', this.#connections.fail);
    deferContinue(this.#server);
  }

  /** @param onFailure is told of what should not be */
  static async open(provider: RunningProvider, onFailure: (error: unknown) => void): Promise<HttpDoor> {
    const app = await (made ??= makeApp());
    served = provider;
    failed = onFailure;
    state.isServing = true;
    state.isStopping = false;
    return new HttpDoor(app);
  }

  connect(socket: MemoryDuplex): void {
    this.#server.emit('connection', socket);
  }

  /** As when the daemon stops: no new requests, and those in flight end. */
  stop(): void {
    state.isServing = false;
    state.isStopping = true;
    this.#connections.stop();
  }
}
