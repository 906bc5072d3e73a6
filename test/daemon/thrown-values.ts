/**
 * What the tests of thrown values share: a daemon with the throwing library behind both doors, whose log is kept as it is written,
 * and what can be asked of it so that the trap springs.
 */
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect } from '@jest/globals';
import { type Dispatcher, request } from 'undici';
import { createLogger, type LogFormat } from '../../core/base/logging.js';
import {
  BedrockError,
  bootstrap,
  connect,
  type Daemon,
  ERROR_CODES,
  type Service,
  type Target,
} from '../../core/index.js';
import { clearTrap, setTrap } from '../fixtures/throwing-library.js';
import { RawClient, type Value } from '../resp/raw-client.js';

export const THROWING_LIBRARY = fileURLToPath(new URL('../fixtures/throwing-library.ts', import.meta.url));
const CODES = Object.keys(ERROR_CODES);

/** A logger, and the lines that it has written. */
export function writtenLog(format: LogFormat): { logger: ReturnType<typeof createLogger>; lines: string[] } {
  const lines: string[] = [];
  const stream = new PassThrough();
  stream.on('data', (text: Buffer) => lines.push(...text.toString().trimEnd().split('\n')));
  return { logger: createLogger({ level: 'warning', format, stream }), lines };
}

/** What throws, and what is asked so that it does. */
export interface Ask {
  at: string;
  method?: Dispatcher.HttpMethod;
  /** Below `/v1/providers/`. */
  path?: string;
  body?: string;
  json?: object;
  command?: (string | number)[];
  call?: (target: Target) => Promise<unknown>;
  /** Whether the client makes that call over the Redis protocol alone. */
  isRespCall?: boolean;
}

export class ThrowingDaemon {
  id = '';
  regionId!: Awaited<ReturnType<Target['create']>>;
  readonly #services: Service[] = [];

  private constructor(
    readonly daemon: Daemon,
    readonly lines: string[],
    readonly client: RawClient,
  ) {}

  static async start(format: LogFormat): Promise<ThrowingDaemon> {
    clearTrap();
    const { logger, lines } = writtenLog(format);
    const daemon = await bootstrap(
      {
        bedrock: { resp: { address: '127.0.0.1:0' } },
        libraries: [THROWING_LIBRARY],
        providers: [
          { name: 'store', type: 'warabi', config: { target: { type: 'throwing' } } },
          { name: 'service', type: 'throwing_service' },
        ],
      },
      { address: 'http://127.0.0.1:0', logger },
    );
    const port = Number(daemon.config.bedrock?.resp?.address?.split(':').at(-1));
    const made = new ThrowingDaemon(daemon, lines, await RawClient.connect({ host: '127.0.0.1', port }));
    made.regionId = await daemon.target('store').createAndWrite(Buffer.from('contents'));
    made.id = made.regionId.toString();
    for (const url of [daemon.address ?? '', `resp://127.0.0.1:${port}`])
      made.#services.push(await connect(url));
    return made;
  }

  get targets(): Target[] {
    return this.#services.map((service) => service.target('store'));
  }

  async close(): Promise<void> {
    clearTrap();
    this.client.close();
    await Promise.all(this.#services.map((service) => service.close()));
    await this.daemon.close();
  }

  /** Sets the trap, asks, and holds the log to one line for what the client is only told to be INTERNAL. @returns the code */
  async #trapped(at: string, value: unknown, isLate: boolean, ask: () => Promise<string>): Promise<string> {
    const before = this.lines.length;
    setTrap(at, value, isLate);
    try {
      const code = await ask();
      const written = this.lines.slice(before);
      expect({ code, written }).toEqual({ code, written: code === 'INTERNAL' ? [expect.any(String)] : [] });
      return code;
    } finally {
      clearTrap();
    }
  }

  /** Over HTTP. */
  overHttp(ask: Ask, value: unknown, isLate: boolean): Promise<string> {
    return this.#trapped(ask.at, value, isLate, async () => {
      const { method = 'GET', path = '', body, json } = ask;
      const url = `${this.daemon.address ?? ''}/v1/providers/${path.replace('ID', this.id)}`;
      const answer = await request(url, {
        method,
        ...(body !== undefined && { body }),
        ...(json !== undefined && {
          body: JSON.stringify(json),
          headers: { 'content-type': 'application/json' },
        }),
      });
      const text = await answer.body.text();
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
      const code = String(answer.headers['error-code']);
      expect(CODES).toContain(code);
      if (method === 'HEAD') return code;
      const problem = JSON.parse(text) as Record<string, unknown>;
      expect(problem).toMatchObject({ code, status: answer.statusCode, title: expect.any(String) });
      expect(typeof problem.detail).toBe('string');
      return code;
    });
  }

  /** Over the Redis protocol. @param isDetailed whether errors come as JSON */
  overResp(ask: Ask, value: unknown, isLate: boolean, isDetailed: boolean): Promise<string> {
    return this.#trapped(ask.at, value, isLate, async () => {
      await this.client.call('RESET');
      if (isDetailed) await this.client.call('BEDROCK.HELLO');
      const command = (ask.command ?? []).map((word) => (word === 'ID' ? this.id : word));
      const replies: Value[] = [await this.client.call(...command), await this.client.call('ECHO', 'next')];
      expect(replies).toEqual([expect.any(Error), 'next']);
      const [, word = '', text = ''] = /^([A-Z_]+) (.*)$/s.exec((replies[0] as Error).message) ?? [];
      // Some codes have the form there that clients of Redis know.
      const code = CODES.find((each) => redisWordOf(each) === word) ?? word;
      expect(CODES).toContain(code);
      if (isDetailed)
        expect(JSON.parse(text)).toEqual({ message: expect.any(String), details: expect.any(Object) });
      return code;
    });
  }

  /** By a client of this package. */
  async byClient(ask: Ask, target: Target, value: unknown, isLate: boolean): Promise<string> {
    return this.#trapped(ask.at, value, isLate, async () => {
      const error: unknown = await ask.call?.(target).then(
        () => 'no error',
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(BedrockError);
      const { code, message, details } = error as BedrockError;
      expect(CODES).toContain(code);
      expect([typeof message, typeof details]).toEqual(['string', 'object']);
      return code;
    });
  }
}

/** Every call of a target that a door makes. */
export function targetAsks(daemon: ThrowingDaemon): Ask[] {
  const id = daemon.regionId;
  const region = 'store/regions/ID';
  return [
    {
      at: 'create',
      method: 'POST',
      path: 'store/regions?size=5',
      command: ['BLOB.CREATE', 5],
      call: (target) => target.create(5),
    },
    {
      at: 'createAndWrite',
      method: 'POST',
      path: 'store/regions',
      body: 'five!',
      command: ['BLOB.CREATE', 5, 'DATA', 'five!'],
      call: (target) => target.createAndWrite(Buffer.from('five!')),
    },
    {
      at: 'write',
      method: 'PUT',
      path: region,
      body: 'new',
      command: ['BLOB.WRITE', 'ID', 0, 'new'],
      call: (target) => target.write(id, 0, Buffer.from('new')),
    },
    { at: 'read', path: region, command: ['GETRANGE', 'ID', 0, -1] },
    {
      at: 'readInto',
      isRespCall: true,
      command: ['BLOB.READ', 'ID', 0, 3],
      call: (target) => target.read(id, 0, 3),
    },
    {
      at: 'readv',
      isRespCall: true,
      command: ['BLOB.READV', 'ID', 0, 3],
      call: (target) => target.readv(id, [{ offset: 0, size: 3 }]),
    },
    {
      at: 'persist',
      method: 'POST',
      path: `${region}/persist`,
      command: ['BLOB.PERSIST', 'ID'],
      call: (target) => target.persist(id),
    },
    {
      at: 'erase',
      method: 'DELETE',
      path: region,
      command: ['BLOB.ERASE', 'ID'],
      call: (target) => target.erase(id),
    },
    {
      at: 'stat',
      method: 'HEAD',
      path: region,
      command: ['BLOB.STAT', 'ID'],
      call: (target) => target.stat(id),
    },
    { at: 'list', path: 'store/regions', command: ['BLOB.LIST'], call: (target) => target.list() },
    { at: 'stats', path: 'store/stats', command: ['BLOB.STATS'], call: (target) => target.stats() },
  ];
}

/** What can be asked of a provider by its own routes, and for its administration. */
export const SERVICE_ASKS: readonly Ask[] = [
  { at: 'route', path: 'service/plain' },
  { at: 'stream first', path: 'service/stream' },
  { at: 'snapshot', method: 'POST', path: 'service/snapshot', json: { path: '/nowhere' } },
  { at: 'restore', method: 'POST', path: 'service/restore', json: { path: '/nowhere' } },
  {
    at: 'migrate',
    method: 'POST',
    path: 'service/migrate',
    json: { address: 'http://localhost:1', provider: 'x' },
  },
];

function redisWordOf(code: string): string {
  const entry = ERROR_CODES[code as keyof typeof ERROR_CODES];
  return 'redis' in entry ? entry.redis : code;
}
