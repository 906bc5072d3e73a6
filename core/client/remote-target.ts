/**
 * A target of another daemon, over HTTP, with the contract of a local one. Arguments are checked here as they are there, and
 * errors come back under their own codes.
 *
 * `open` and `close` are local: they say whether this object may be used. `destroy` and `map` are NOT_SUPPORTED. Every call takes
 * CallOptions as a last argument. Contents stream in pieces, whatever their size.
 */
import type { Readable } from 'node:stream';
import { BedrockError } from '../errors.js';
import { allocateBuffer, checkBytes, checkRange, checkRanges, checkSize } from '../target/arguments.js';
import { sourceOf } from '../target/contents.js';
import {
  DEFAULT_LIST_LIMIT,
  RegionId,
  type Capabilities,
  type ListOptions,
  type RegionMapping,
  type RegionPage,
  type RegionRange,
  type RegionSource,
  type RegionStat,
  type Target,
  type TargetState,
  type TargetStats,
  type WriteOptions,
} from '../target/index.js';
import type { CallOptions, Connection, HttpRequest } from './connection.js';

/** Bytes handed to the connection at once, so that a large write never waits whole in its buffers. */
const PIECE_BYTES = 2 ** 20;

/** Most regions that the daemon lists in one answer. */
const MAX_LIST_LIMIT = 10_000;

/** How the daemon describes a target under /v1/providers. */
export interface RemoteTargetDescription {
  readonly type: string;
  readonly capabilities: Capabilities;
}

export interface RemoteTargetPlace {
  /** Name or id. */
  provider: string;
  /** Number of the target. */
  index: number;
}

export class RemoteTarget implements Target {
  readonly type: string;
  readonly capabilities: Capabilities;
  #state: TargetState = 'open';
  readonly #path: string;
  readonly #query: { target?: number };

  constructor(
    private readonly connection: Connection,
    { provider, index }: RemoteTargetPlace,
    { type, capabilities }: RemoteTargetDescription,
  ) {
    this.type = type;
    this.capabilities = { ...capabilities, mappable: false, importable: false };
    this.#path = `/v1/providers/${encodeURIComponent(provider)}`;
    this.#query = index === 0 ? {} : { target: index };
  }

  get state(): TargetState {
    return this.#state;
  }

  open(): Promise<void> {
    this.#state = 'open';
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#state = 'closed';
    return Promise.resolve();
  }

  destroy(): Promise<void> {
    return Promise.reject(
      new BedrockError(
        'NOT_SUPPORTED',
        'a remote target cannot be destroyed; erase its regions, or destroy it where it is',
      ),
    );
  }

  async create(size: number, call: CallOptions = {}): Promise<RegionId> {
    checkSize('size', size);
    return this.#create({ query: { size }, ...call });
  }

  async createAndWrite(
    contents: Uint8Array | RegionSource,
    options: WriteOptions = {},
    call: CallOptions = {},
  ): Promise<RegionId> {
    const { size, source } = sourceOf(contents);
    return this.#create({
      query: { size, persist: options.persist },
      ...bodyOf(size, exactly(size, source)),
      ...call,
    });
  }

  async #create(request: Pick<HttpRequest, 'query' | 'headers' | 'body'> & CallOptions): Promise<RegionId> {
    const { id } = await this.#json<{ id: string }>({ ...request, method: 'POST', path: '/regions' });
    return RegionId.parse(id);
  }

  async write(
    id: RegionId,
    offset: number,
    bytes: Uint8Array,
    options: WriteOptions = {},
    call: CallOptions = {},
  ): Promise<void> {
    checkId(id);
    checkBytes('bytes', bytes);
    checkSize('offset', offset);
    await this.#send({
      method: 'PUT',
      path: `/regions/${id.toString()}`,
      query: { offset, persist: options.persist },
      ...bodyOf(bytes.length, bytes.length > PIECE_BYTES ? piecesOf(bytes) : bytes),
      ...call,
    });
  }

  /** One request a range; the bounds of all are checked before the first. */
  async writev(
    id: RegionId,
    ranges: readonly RegionRange[],
    bytes: Uint8Array,
    options: WriteOptions = {},
    call: CallOptions = {},
  ): Promise<void> {
    checkBytes('bytes', bytes);
    const { size } = await this.stat(id, call);
    const total = checkRanges('write', ranges, size);
    if (total !== bytes.length) {
      throw new BedrockError(
        'INVALID_ARGUMENT',
        `the ranges hold ${total} bytes, but ${bytes.length} were given`,
      );
    }
    let from = 0;
    for (const range of ranges) {
      await this.write(id, range.offset, bytes.subarray(from, from + range.size), {}, call);
      from += range.size;
    }
    if (options.persist === true) await this.persist(id, ranges, call);
  }

  async read(id: RegionId, offset: number, size: number, call: CallOptions = {}): Promise<Uint8Array> {
    checkId(id);
    checkSize('offset', offset);
    checkSize('size', size);
    this.#checkOpen();
    const buffer = allocateBuffer(size);
    await this.readInto(id, offset, buffer, call);
    return buffer;
  }

  async readInto(id: RegionId, offset: number, buffer: Uint8Array, call: CallOptions = {}): Promise<void> {
    checkId(id);
    checkBytes('buffer', buffer);
    checkSize('offset', offset);
    const size = buffer.length;
    if (size === 0 || !Number.isSafeInteger(offset + size)) {
      // No Range can say this; the bounds still count.
      checkRange('read', offset, size, (await this.stat(id, call)).size);
      return;
    }
    const request = {
      method: 'GET',
      path: `${this.#path}/regions/${id.toString()}`,
      query: this.#query,
      headers: { range: `bytes=${offset}-${offset + size - 1}` },
      ...call,
    } as const;
    this.#checkOpen();
    const { headers, body } = await this.connection.request(request);
    const length = Number(headers['content-length']);
    if (length !== size) {
      await body.dump();
      const regionSize = offset + length;
      throw new BedrockError(
        'OUT_OF_RANGE',
        `read of ${size} bytes at ${offset} exceeds region size ${regionSize}`,
        {
          details: { offset, size, regionSize },
        },
      );
    }
    await this.#fill(buffer, body, request);
  }

  /** Takes each piece to its place as it arrives. */
  async #fill(buffer: Uint8Array, body: Readable, call: CallOptions): Promise<void> {
    let at = 0;
    try {
      for await (const piece of body as AsyncIterable<Buffer>) {
        buffer.set(piece, at);
        at += piece.length;
      }
    } catch (error) {
      throw this.connection.translate(error, call);
    }
  }

  /** One request a range; the bounds of all are checked before the first. */
  async readv(id: RegionId, ranges: readonly RegionRange[], call: CallOptions = {}): Promise<Uint8Array> {
    const { size } = await this.stat(id, call);
    const buffer = allocateBuffer(checkRanges('read', ranges, size));
    let at = 0;
    for (const range of ranges) {
      await this.readInto(id, range.offset, buffer.subarray(at, at + range.size), call);
      at += range.size;
    }
    return buffer;
  }

  async persist(id: RegionId, ranges?: readonly RegionRange[], call: CallOptions = {}): Promise<void> {
    checkId(id);
    if (ranges !== undefined) checkRanges('persist', ranges, Number.MAX_SAFE_INTEGER);
    await this.#send({
      method: 'POST',
      path: `/regions/${id.toString()}/persist`,
      ...(ranges !== undefined && {
        body: JSON.stringify({ ranges: ranges.map(({ offset, size }) => ({ offset, size })) }),
        headers: { 'content-type': 'application/json' },
      }),
      ...call,
    });
  }

  async erase(id: RegionId, call: CallOptions = {}): Promise<void> {
    checkId(id);
    await this.#send({ method: 'DELETE', path: `/regions/${id.toString()}`, ...call });
  }

  async stat(id: RegionId, call: CallOptions = {}): Promise<RegionStat> {
    checkId(id);
    const { headers } = await this.#send({ method: 'HEAD', path: `/regions/${id.toString()}`, ...call });
    return { id, size: Number(headers['content-length']), createdAt: Number(headers['region-created-at']) };
  }

  async list(
    { after, limit = DEFAULT_LIST_LIMIT }: ListOptions = {},
    call: CallOptions = {},
  ): Promise<RegionPage> {
    if (!Number.isSafeInteger(limit) || limit < 1) {
      throw new BedrockError(
        'INVALID_ARGUMENT',
        `limit is ${String(limit)}; it must be a whole number from 1 up`,
      );
    }
    if (after !== undefined) checkId(after);
    const query = { after: after?.toString(), limit: Math.min(limit, MAX_LIST_LIMIT) };
    const page = await this.#json<WirePage>({ method: 'GET', path: '/regions', query, ...call });
    return {
      regions: page.regions.map(({ id, size, createdAt }) => ({ id: RegionId.parse(id), size, createdAt })),
      ...(page.next !== undefined && { next: RegionId.parse(page.next) }),
    };
  }

  stats(call: CallOptions = {}): Promise<TargetStats> {
    return this.#json<TargetStats>({ method: 'GET', path: '/stats', ...call });
  }

  map(_id: RegionId): Promise<RegionMapping> {
    return Promise.reject(
      new BedrockError('NOT_SUPPORTED', 'a remote target cannot map regions; read them instead'),
    );
  }

  #checkOpen(): void {
    if (this.#state !== 'open')
      throw new BedrockError('TARGET_CLOSED', `the remote target is ${this.#state}, not open`);
  }

  async #json<T>(request: HttpRequest): Promise<T> {
    this.#checkOpen();
    return this.connection.json<T>(this.#located(request));
  }

  async #send(request: HttpRequest): Promise<Awaited<ReturnType<Connection['send']>>> {
    this.#checkOpen();
    return this.connection.send(this.#located(request));
  }

  #located(request: HttpRequest): HttpRequest {
    return { ...request, path: this.#path + request.path, query: { ...this.#query, ...request.query } };
  }
}

interface WirePage {
  regions: { id: string; size: number; createdAt: number }[];
  next?: string;
}

function bodyOf(size: number, body: NonNullable<HttpRequest['body']>): Pick<HttpRequest, 'headers' | 'body'> {
  return { body, headers: { 'content-length': String(size), 'content-type': 'application/octet-stream' } };
}

function* piecesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

/** The pieces of a source, no fewer and no more bytes than it announced. */
async function* exactly(size: number, source: RegionSource['source']): AsyncGenerator<Uint8Array> {
  let given = 0;
  for await (const piece of source) {
    checkBytes('a piece of the source', piece);
    given += piece.length;
    if (given > size) {
      throw new BedrockError('INVALID_ARGUMENT', `the source gave more than the ${size} bytes it announced`);
    }
    yield piece;
  }
  if (given < size)
    throw new BedrockError('INVALID_ARGUMENT', `the source ended after ${given} of ${size} bytes`);
}

function checkId(id: RegionId): void {
  if (!(id instanceof RegionId)) {
    throw new BedrockError(
      'INVALID_ARGUMENT',
      'the region must be named by a RegionId; RegionId.parse makes one of hex',
    );
  }
}
