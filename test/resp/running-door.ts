/**
 * Daemons with a Redis door for tests: at a free port, with the providers `store` (memory), `gated` (whose operations wait at gates)
 * and `guard` (memory, that no test names). A test file calls `closeDoors` after each test.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../../core/base/logging.js';
import { type BedrockConfig, bootstrap, type Daemon } from '../../core/index.js';
import { openGates } from '../fixtures/gated-library.js';
import { RawClient } from './raw-client.js';

type RespSettings = NonNullable<NonNullable<BedrockConfig['bedrock']>['resp']>;

const GATED_LIBRARY = fileURLToPath(new URL('../fixtures/gated-library.ts', import.meta.url));

const doors: RunningDoor[] = [];

export interface DoorOptions {
  resp?: RespSettings;
  drainTimeoutMs?: number;
  libraries?: string[];
  providers?: BedrockConfig['providers'];
  margo?: BedrockConfig['margo'];
  logger?: Logger;
}

export class RunningDoor {
  readonly #clients: RawClient[] = [];

  private constructor(readonly daemon: Daemon) {}

  static async start({
    resp,
    drainTimeoutMs,
    libraries = [],
    providers,
    margo,
    logger,
  }: DoorOptions = {}): Promise<RunningDoor> {
    const memory = { type: 'memory', config: {} };
    const daemon = await bootstrap(
      {
        bedrock: {
          resp: { address: '127.0.0.1:0', ...resp },
          ...(drainTimeoutMs !== undefined && { drain_timeout_ms: drainTimeoutMs }),
        },
        libraries: [GATED_LIBRARY, ...libraries],
        ...(margo !== undefined && { margo }),
        providers: providers ?? [
          { name: 'store', type: 'warabi', provider_id: 1, config: { target: memory } },
          {
            name: 'gated',
            type: 'warabi',
            provider_id: 2,
            config: { target: { type: 'gated', config: {} } },
          },
          { name: 'guard', type: 'warabi', provider_id: 3, config: { target: memory } },
        ],
      },
      { address: 'http://127.0.0.1:0', logLevel: 'off', ...(logger !== undefined && { logger }) },
    );
    const door = new RunningDoor(daemon);
    doors.push(door);
    return door;
  }

  get port(): number {
    return Number(this.daemon.config.bedrock?.resp?.address?.split(':').at(-1));
  }

  async client(): Promise<RawClient> {
    const client = await RawClient.connect({ host: '127.0.0.1', port: this.port });
    this.#clients.push(client);
    return client;
  }

  /** A figure of INFO. */
  async figure(name: string): Promise<number> {
    const client = await RawClient.connect({ host: '127.0.0.1', port: this.port });
    const info = (await client.call('INFO')) as string;
    client.close();
    const [, figure] = new RegExp(`^${name}:(\\d+)\r$`, 'm').exec(info) ?? [];
    if (figure === undefined) throw new Error(`INFO has no ${name}:\n${info}`);
    return Number(figure);
  }

  /** A figure of a client's line in CLIENT LIST. */
  async figureOf({ socket }: RawClient, name: string): Promise<number> {
    const asking = await RawClient.connect({ host: '127.0.0.1', port: this.port });
    const list = (await asking.call('CLIENT', 'LIST')) as string;
    asking.close();
    const line = list.split('\n').find((each) => each.includes(` addr=127.0.0.1:${socket.localPort} `));
    const [, figure] = new RegExp(` ${name}=(\\d+)( |$)`).exec(line ?? '') ?? [];
    if (figure === undefined) throw new Error(`there is no ${name} of the client in:\n${list}`);
    return Number(figure);
  }

  /** Has a new client be served so often. All that others have sent before is looked at first, and they have turns between. */
  async serveAnother(rounds = 20): Promise<void> {
    const another = await RawClient.connect({ host: '127.0.0.1', port: this.port });
    for (let round = 0; round < rounds; round++) await another.call('PING');
    another.close();
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.daemon.close();
  }
}

export async function closeDoors(): Promise<void> {
  openGates();
  await Promise.all(doors.splice(0).map((door) => door.close()));
}

/** Asks until the answer is right. @throws what it stayed, shortly before the time-out of a test */
export async function eventually<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  // Tests stop the clock that `performance` has.
  const end = process.uptime() + 250;
  for (;;) {
    const answer = await ask();
    if (isRight(answer)) return answer;
    if (process.uptime() > end) throw new Error(`it stayed ${String(answer)}`);
    await sleep(10);
  }
}
