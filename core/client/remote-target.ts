/**
 * A target of another daemon, over HTTP, with the contract of a local one. Arguments are checked here as they are there, and
 * errors come back under their own codes.
 *
 * `open` and `close` are local: they say whether this object may be used. `destroy`, `map` and the calls of import are
 * NOT_SUPPORTED. Every other call takes CallOptions as a last argument. Contents stream in pieces, whatever their size.
 */
import type { Readable } from 'node:stream';
import { BedrockError } from '../errors.js';
import {
  allocateBuffer,
  checkBytes,
  checkId,
  checkListOptions,
  checkPersist,
  checkRange,
  checkRanges,
  checkSize,
} from '../target/arguments.js';
import { sourceOf } from '../target/contents.js';
import {
  RegionId,
  type Capabilities,
  type ErasedPage,
  type ListOptions,
  type RegionMapping,
  type RegionPage,
  type RegionRange,
  type RegionSource,
  type RegionStat,
  type Target,
  type TargetStats,
  type WriteOptions,
} from '../target/index.js';
import { Lifecycle } from '../target/lifecycle.js';
import type { Logger } from '../logging.js';
import type { CallOptions, Connection, HttpRequest } from './connection.js';
import { bodyOfBytes, bodyOfSource } from './contents.js';

/** Reads of more than this are checked against the region's size before a buffer is taken for them. */
const CHECKED_FIRST_BYTES = 2 ** 28;

/** A remote target's lifecycle has nothing to tell. */
const SILENT = { warning: () => undefined } as unknown as Logger;

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

export class RemoteTarget extends Lifecycle implements Target {
  readonly type: string;
  readonly capabilities: Capabilities;
  readonly #path: string;
  readonly #query: { target?: number };

  constructor(
    private readonly connection: Connection,
    { provider, index }: RemoteTargetPlace,
    { type, capabilities }: RemoteTargetDescription,
  ) {
    super(SILENT, 'open');
    this.type = type;
    this.capabilities = { ...capabilities, mappable: false, importable: false };
    this.#path = `/v1/providers/${encodeURIComponent(provider)}`;
    this.#query = index === 0 ? {} : { target: index };
  }

  protected openStorage(): undefined {
    return undefined;
  }

  protected closeStorage(): void {
    // The connection is the service's.
  }

  protected destroyStorage(): void {
    // Never called: destroy is refused.
  }

  override destroy(): Promise<void> {
    const text = 'a remote target cannot be destroyed; erase its regions, or destroy it where it is';
    return Promise.reject(new BedrockError('NOT_SUPPORTED', text));
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
    const source = sourceOf(contents);
    return this.#create({
      query: { size: source.size, persist: checkPersist(options) },
      ...bodyOfSource(source),
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
    await this.#write(id, offset, { ...bodyOfBytes(bytes), ...call }, options);
  }

  /**
   * Overwrites part of a region with contents that are not in memory, in one request. If the source or the connection fails half
   * way, the bytes that went out before are written.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE, READ_ONLY, INVALID_ARGUMENT (the source gave more or fewer bytes than `size`),
   *   whatever the source throws
   */
  async writeFrom(
    id: RegionId,
    offset: number,
    contents: RegionSource,
    options: WriteOptions = {},
    call: CallOptions = {},
  ): Promise<void> {
    checkId(id);
    await this.#write(id, offset, { ...bodyOfSource(sourceOf(contents)), ...call }, options);
  }

  #write(
    id: RegionId,
    offset: number,
    body: Pick<HttpRequest, 'headers' | 'body'> & CallOptions,
    options: WriteOptions,
  ): Promise<unknown> {
    checkSize('offset', offset);
    const path = `/regions/${id.toString()}`;
    return this.#send({ ...body, method: 'PUT', path, query: { offset, persist: checkPersist(options) } });
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
    const persist = checkPersist(options);
    const { ranges: checked, total } = checkRanges('write', ranges, Number.MAX_SAFE_INTEGER);
    const { size } = await this.stat(id, call);
    checkRanges('write', checked, size);
    if (total !== bytes.length) {
      throw new BedrockError(
        'INVALID_ARGUMENT',
        `the ranges hold ${total} bytes, but ${bytes.length} were given`,
      );
    }
    let from = 0;
    for (const range of checked) {
      await this.write(id, range.offset, bytes.subarray(from, from + range.size), {}, call);
      from += range.size;
    }
    if (persist) await this.persist(id, checked, call);
  }

  async read(id: RegionId, offset: number, size: number, call: CallOptions = {}): Promise<Uint8Array> {
    checkId(id);
    checkSize('offset', offset);
    checkSize('size', size);
    this.checkOpen();
    // No buffer is taken for what the region may not have.
    if (size > CHECKED_FIRST_BYTES) checkRange('read', offset, size, (await this.stat(id, call)).size);
    const buffer = allocateBuffer(size);
    await this.readInto(id, offset, buffer, call);
    return buffer;
  }

  async readInto(id: RegionId, offset: number, buffer: Uint8Array, call: CallOptions = {}): Promise<void> {
    checkBytes('buffer', buffer);
    let at = 0;
    for await (const piece of this.readStream(id, offset, buffer.length, call)) {
      buffer.set(piece, at);
      at += piece.length;
    }
  }

  /**
   * Reads part of a region of any length, in one request: pieces as they arrive, no faster than they are taken. A caller who
   * stops early ends the request.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE, both before the first piece
   */
  async *readStream(
    id: RegionId,
    offset: number,
    size: number,
    call: CallOptions = {},
  ): AsyncGenerator<Uint8Array> {
    checkId(id);
    checkSize('offset', offset);
    checkSize('size', size);
    if (size === 0 || !Number.isSafeInteger(offset + size)) {
      // No Range can say this; the bounds still count.
      checkRange('read', offset, size, (await this.stat(id, call)).size);
      return;
    }
    this.enter();
    try {
      const body = await this.#bodyOfRange(id, { offset, size }, call);
      for await (const piece of body as AsyncIterable<Buffer>) yield piece;
    } catch (error) {
      throw this.connection.translate(error, call);
    } finally {
      this.leave();
    }
  }

  async #bodyOfRange(id: RegionId, { offset, size }: RegionRange, call: CallOptions): Promise<Readable> {
    const { headers, body } = await this.connection.request({
      method: 'GET',
      path: `${this.#path}/regions/${id.toString()}`,
      query: this.#query,
      headers: { range: `bytes=${offset}-${offset + size - 1}` },
      ...call,
    });
    const length = Number(headers['content-length']);
    if (length === size) return body;
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

  /** One request a range; the bounds of all are checked before the first. */
  async readv(id: RegionId, ranges: readonly RegionRange[], call: CallOptions = {}): Promise<Uint8Array> {
    const { ranges: checked, total } = checkRanges('read', ranges, Number.MAX_SAFE_INTEGER);
    const { size } = await this.stat(id, call);
    checkRanges('read', checked, size);
    const buffer = allocateBuffer(total);
    let at = 0;
    for (const range of checked) {
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

  async list(options: ListOptions = {}, call: CallOptions = {}): Promise<RegionPage> {
    const { after, limit } = checkListOptions(options);
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

  importRegion(): Promise<void> {
    return refuseImport();
  }

  importErased(): Promise<void> {
    return refuseImport();
  }

  listErased(): Promise<ErasedPage> {
    return refuseImport();
  }

  async #json<T>(request: HttpRequest): Promise<T> {
    this.enter();
    try {
      return await this.connection.json<T>(this.#located(request));
    } finally {
      this.leave();
    }
  }

  async #send(request: HttpRequest): Promise<Awaited<ReturnType<Connection['send']>>> {
    this.enter();
    try {
      return await this.connection.send(this.#located(request));
    } finally {
      this.leave();
    }
  }

  #located(request: HttpRequest): HttpRequest {
    return { ...request, path: this.#path + request.path, query: { ...this.#query, ...request.query } };
  }
}

/** IDs are handed over where the targets are: a daemon that serves one would give them out again meanwhile. */
function refuseImport(): Promise<never> {
  return Promise.reject(
    new BedrockError(
      'NOT_SUPPORTED',
      'a remote target hands no IDs over and takes none; `bedrock pool copy` does',
    ),
  );
}

interface WirePage {
  regions: { id: string; size: number; createdAt: number }[];
  next?: string;
}
