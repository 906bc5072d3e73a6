/** A daemon with both doors that asks for tokens, for tests. A test file calls `closeSecured` after its tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bootstrap, type BedrockConfig, type Daemon } from '../../core/index.js';
import type { Logger } from '../../core/base/logging.js';
import type { Grant } from '../../core/security/identity.js';
import { newToken } from '../../core/security/token.js';
import { changeTokenFile } from '../../core/security/token-file.js';
import { RawClient, type Value } from '../resp/raw-client.js';

const running: Secured[] = [];

type Bedrock = NonNullable<BedrockConfig['bedrock']>;

/** Who there is: what each may do is its name. */
const GRANTS: Readonly<Record<string, readonly Grant[]>> = {
  admin: [{ scope: 'admin' }],
  writer: [{ scope: 'write' }],
  reader: [{ scope: 'read' }],
  other: [{ scope: 'admin', provider: 'other' }],
  prefix: [{ scope: 'write', provider: 'store', prefix: 'app/' }],
  nobody: [],
};

export interface SecuredOptions {
  bedrock?: Bedrock;
  logger?: Logger;
  providers?: NonNullable<BedrockConfig['providers']>;
  libraries?: string[];
  /** HTTP over `http.sock` in its folder, rather than at a port. */
  isUnix?: boolean;
}

export class Secured {
  readonly #clients: RawClient[] = [];

  private constructor(
    readonly daemon: Daemon,
    readonly folder: string,
    /** By the name of their owner. */
    readonly tokens: Readonly<Record<string, string>>,
  ) {}

  static async start({
    bedrock,
    logger,
    providers,
    libraries,
    isUnix = false,
  }: SecuredOptions = {}): Promise<Secured> {
    const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-secured-'));
    const tokens: Record<string, string> = {};
    await changeTokenFile(path.join(folder, 'tokens.json'), () =>
      Object.entries(GRANTS).map(([id, grants]) => {
        const { text, stored } = newToken(id);
        tokens[id] = text;
        return { id, ...stored, grants, createdAt: 0 };
      }),
    );
    const store = (name: string, id: number) => ({
      name,
      type: 'warabi',
      provider_id: id,
      config: { target: { type: 'memory', config: {} } },
    });
    const daemon = await bootstrap(
      {
        bedrock: { auth: { tokens: 'tokens.json' }, resp: { address: '127.0.0.1:0' }, ...bedrock },
        ...(libraries !== undefined && { libraries }),
        providers: providers ?? [store('store', 1), store('other', 2)],
      },
      {
        address: isUnix ? `unix:${path.join(folder, 'http.sock')}` : 'http://127.0.0.1:0',
        directory: folder,
        logLevel: 'off',
        ...(logger !== undefined && { logger }),
      },
    ).catch(async (error: unknown) => {
      await rm(folder, { recursive: true });
      throw error;
    });
    const secured = new Secured(daemon, folder, tokens);
    running.push(secured);
    return secured;
  }

  get url(): string {
    return this.daemon.address ?? '';
  }

  get respUrl(): string {
    return `resp://${this.daemon.config.bedrock?.resp?.address ?? ''}`;
  }

  /** The token of somebody; of nobody without a name. */
  header(who: string | undefined): Record<string, string> {
    return who === undefined ? {} : { authorization: `Bearer ${this.tokens[who] ?? ''}` };
  }

  async fetch(
    who: string | undefined,
    method: string,
    path: string,
    init: RequestInit = {},
  ): Promise<Response> {
    return fetch(`${this.url}${path}`, {
      method,
      ...init,
      headers: { ...this.header(who), ...(init.headers as Record<string, string> | undefined) },
    });
  }

  /** Status of a request, and its code if it is refused. */
  async asked(who: string | undefined, method: string, path: string, body?: string): Promise<string> {
    const json = body?.startsWith('{') === true ? { 'content-type': 'application/json' } : {};
    const response = await this.fetch(who, method, path, {
      ...(body !== undefined && { body }),
      headers: json,
    });
    await response.arrayBuffer();
    const code = response.headers.get('error-code');
    return code === null ? String(response.status) : `${response.status} ${code}`;
  }

  /** A client of the Redis door; not authenticated without a name. */
  async client(who?: string): Promise<RawClient> {
    const [, port = ''] = /:(\d+)$/.exec(this.respUrl) ?? [];
    const client = await RawClient.connect({ host: '127.0.0.1', port: Number(port) });
    this.#clients.push(client);
    if (who !== undefined) await client.call('AUTH', this.tokens[who] ?? '');
    return client;
  }

  /** Revokes a token, and has the daemon read the file. */
  async revoke(who: string): Promise<void> {
    await changeTokenFile(path.join(this.folder, 'tokens.json'), (all) => all.filter(({ id }) => id !== who));
    await this.daemon.hangUp();
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.socket.destroy();
    await this.daemon.close();
    await rm(this.folder, { recursive: true });
  }
}

export async function closeSecured(): Promise<void> {
  await Promise.all(running.splice(0).map((one) => one.close()));
}

/** The first word of an error, or the reply. */
export function wordOf(value: Value): Value {
  return value instanceof Error ? (value.message.split(' ', 1)[0] ?? '') : value;
}
