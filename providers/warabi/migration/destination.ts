/**
 * The destination of a migration, as the source calls it. A call that fails because of the
 * connection is tried again for a while, since every call may be repeated. Only this file makes
 * connections.
 */
import { setTimeout as pass } from 'node:timers/promises';
import {
  BedrockError,
  connect,
  type RemoteCall,
  type RemoteOptions,
  type RemoteProviderHandle,
  type Service,
} from '../../../core/index.js';
import {
  type BeginAnswer,
  type BeginRequest,
  type CompareAnswer,
  type CompareRequest,
  encodePieces,
  type FinishRequest,
  type ListAnswer,
  type ListRequest,
  type Piece,
  type PieceResult,
  WIRE_VERSION,
} from './wire.js';
import type { ProviderAddress } from '../state-file.js';
import { differenceOf, type Successor } from './successor.js';

/** Codes of failures that may be over in a moment. */
const PASSING: ReadonlySet<string> = new Set([
  'UNREACHABLE',
  'TIMEOUT',
  'OUTCOME_UNKNOWN',
  'OVERLOADED',
  'NOT_READY',
]);
const TRIES = 6;
const FIRST_WAIT_MS = 50;
const CALL_MS = 120_000;

export class Destination {
  #session = '';

  private constructor(
    private readonly service: Service,
    private readonly provider: RemoteProviderHandle,
    private readonly signal: AbortSignal,
    /** Whether this migration has created the provider. */
    private readonly isMade: boolean,
  ) {}

  /**
   * @param how how many requests may be in flight at once
   * @param successor the provider to create if it does not exist; without this it must exist
   * @throws UNREACHABLE, PROVIDER_NOT_FOUND, INVALID_ARGUMENT (it is of another type, or the
   *   address is malformed), CONFLICT (the existing provider differs from the successor), what the
   *   start of a provider throws
   */
  static async connect(
    address: string,
    name: string | number,
    how: RemoteOptions & { connections: number },
    signal: AbortSignal,
    successor?: Successor,
  ): Promise<Destination> {
    const service = await connect(address, { ...how, timeoutMs: CALL_MS, signal });
    try {
      const isMade = successor !== undefined && (await makeUnlessThere(service, name, successor, signal));
      const provider = service.provider(name);
      if (provider.type !== 'warabi')
        throw new BedrockError(
          'INVALID_ARGUMENT',
          `provider "${provider.name}" at ${address} is of type ${provider.type}; the regions of a warabi provider go to another warabi provider`,
        );
      return new Destination(service, provider, signal, isMade);
    } catch (error) {
      await service.close();
      throw error;
    }
  }

  get providerAddress(): ProviderAddress {
    return { address: this.service.url, provider: this.provider.name };
  }

  close(): Promise<void> {
    return this.service.close();
  }

  async begin(targets: BeginRequest['targets']): Promise<BeginAnswer['targets']> {
    const answer = await this.#call<BeginAnswer>('/migration/begin', {
      version: WIRE_VERSION,
      targets,
    }).catch(async (error: unknown) => {
      // It has received nothing. If it cannot be removed either, it stays, and the next attempt
      // finds it.
      if (this.isMade) await this.service.removeProvider(this.provider.name).catch(() => undefined);
      throw error;
    });
    if (answer.version !== WIRE_VERSION)
      throw new BedrockError(
        'NOT_SUPPORTED',
        `the daemon at ${this.service.url} uses version ${String(answer.version)} of the migration protocol, and this one version ${WIRE_VERSION}`,
      );
    this.#session = answer.session;
    return answer.targets;
  }

  async erased(target: number, ids: readonly string[]): Promise<void> {
    await this.#call('/migration/erased', { ...this.#in(target), ids });
  }

  /** @returns a result for each piece */
  async pieces(
    target: number,
    pieces: readonly Piece[],
    contents: readonly Uint8Array[],
  ): Promise<readonly PieceResult[]> {
    const body = encodePieces({ ...this.#in(target), pieces }, contents);
    const { results } = await this.#repeat<{ results?: readonly PieceResult[] }>({
      method: 'PUT',
      path: '/migration/pieces',
      body,
    });
    if (!Array.isArray(results) || results.length !== pieces.length) throw this.#strange('/migration/pieces');
    return results as readonly PieceResult[];
  }

  async compare(target: number, parts: CompareRequest['parts']): Promise<CompareAnswer['parts']> {
    const answer = await this.#call<Partial<CompareAnswer>>('/migration/compare', {
      ...this.#in(target),
      parts,
    });
    if (answer.parts?.length !== parts.length) throw this.#strange('/migration/compare');
    return answer.parts;
  }

  list(target: number, after: string | undefined): Promise<ListAnswer> {
    const request: ListRequest = { ...this.#in(target), ...(after !== undefined && { after }) };
    return this.#call<ListAnswer>('/migration/list', request);
  }

  async finish(targets: FinishRequest['targets']): Promise<void> {
    await this.#call('/migration/finish', { session: this.#session, targets });
  }

  async abandon(pools: readonly string[]): Promise<void> {
    await this.#call('/migration/abandon', { pools });
  }

  #in(target: number): { session: string; target: number } {
    return { session: this.#session, target };
  }

  #call<T>(path: string, json: object): Promise<T> {
    return this.#repeat<T>({ method: 'POST', path, json });
  }

  async #repeat<T>(call: RemoteCall): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.provider.request<T>({ ...call, signal: this.signal, timeoutMs: CALL_MS });
      } catch (error) {
        if (!(error instanceof BedrockError)) throw error;
        if (error.code === 'ROUTE_NOT_FOUND')
          throw new BedrockError(
            'NOT_SUPPORTED',
            `the daemon at ${this.service.url} is of a version without migration; update it`,
            { cause: error },
          );
        if (!PASSING.has(error.code) || tries === TRIES) throw error;
      }
      await pass(FIRST_WAIT_MS * 2 ** (tries - 1), undefined, { signal: this.signal }).catch(() =>
        this.signal.throwIfAborted(),
      );
    }
  }

  #strange(path: string): BedrockError {
    return new BedrockError('INTERNAL', `${this.service.url} answered ${path} in a way that no daemon does`);
  }
}

/** @returns whether it was created @throws CONFLICT, what the start of a provider throws */
async function makeUnlessThere(
  service: Service,
  name: string | number,
  { entry }: Successor,
  signal: AbortSignal,
): Promise<boolean> {
  const there = (service.config.providers ?? []).find((one) =>
    typeof name === 'number' ? one.provider_id === name : one.name === name,
  );
  if (there === undefined) {
    await service.addProvider(entry, { signal, timeoutMs: CALL_MS });
    return true;
  }
  const place = there.type === entry.type ? differenceOf(entry.config, there.config) : 'type';
  if (place === undefined) return false;
  throw new BedrockError(
    'CONFLICT',
    `provider "${String(there.name)}" at ${service.url} already exists, and its ${place} is not what new_root and merge_config make of the source's; leave these out, or name another provider`,
    { details: { place } },
  );
}
