/** A target of another daemon over HTTP: one request a call, and one a range where there are several. */
import type { Readable } from 'node:stream';
import { BedrockError } from '../../errors.js';
import { checkRanges, checkTotal, type CheckedRanges } from '../../target/arguments.js';
import {
  RegionId,
  type RegionPage,
  type RegionRange,
  type RegionSource,
  type RegionStat,
  type TargetStats,
} from '../../target/index.js';
import type { CallOptions } from '../call-options.js';
import { RemoteTarget, type RemoteTargetDescription, type RemoteTargetPlace } from '../remote-target.js';
import { bodyOfBytes, bodyOfSource } from './contents.js';
import type { HttpConnection, HttpRequest, HttpResponse } from './http-connection.js';

export class HttpTarget extends RemoteTarget {
  readonly #path: string;
  readonly #query: { target?: number };

  constructor(
    private readonly connection: HttpConnection,
    { provider, index }: RemoteTargetPlace,
    description: RemoteTargetDescription,
  ) {
    super(description);
    this.#path = `/v1/providers/${encodeURIComponent(provider)}`;
    this.#query = index === 0 ? {} : { target: index };
  }

  protected sendCreate(size: number, call: CallOptions): Promise<RegionId> {
    return this.#create({ query: { size }, ...call });
  }

  protected sendContents(
    contents: RegionSource | Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<RegionId> {
    const isInMemory = ArrayBuffer.isView(contents);
    const query = { size: isInMemory ? contents.length : contents.size, persist };
    return this.#create({ query, ...(isInMemory ? bodyOfBytes(contents) : bodyOfSource(contents)), ...call });
  }

  async #create(request: Pick<HttpRequest, 'query' | 'headers' | 'body'> & CallOptions): Promise<RegionId> {
    const { id } = await this.#json<{ id: string }>({ ...request, method: 'POST', path: '/regions' });
    return RegionId.parse(id);
  }

  protected sendWrite(
    id: RegionId,
    offset: number,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    return this.#write(id, { offset, persist }, { ...bodyOfBytes(bytes), ...call });
  }

  protected sendSource(
    id: RegionId,
    offset: number,
    source: RegionSource,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    return this.#write(id, { offset, persist }, { ...bodyOfSource(source), ...call });
  }

  async #write(
    id: RegionId,
    query: { offset: number; persist: boolean },
    body: Pick<HttpRequest, 'headers' | 'body'> & CallOptions,
  ): Promise<void> {
    await this.#send({ ...body, method: 'PUT', path: `/regions/${id.toString()}`, query });
  }

  protected async sendWritev(
    id: RegionId,
    { ranges, total }: CheckedRanges,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    const { size } = await this.stat(id, call);
    checkRanges('write', ranges, size);
    checkTotal(total, bytes);
    let from = 0;
    for (const range of ranges) {
      await this.write(id, range.offset, bytes.subarray(from, from + range.size), {}, call);
      from += range.size;
    }
    if (persist) await this.persist(id, ranges, call);
  }

  protected async fill(id: RegionId, offset: number, buffer: Uint8Array, call: CallOptions): Promise<void> {
    let at = 0;
    for await (const piece of this.readStream(id, offset, buffer.length, call)) {
      buffer.set(piece, at);
      at += piece.length;
    }
  }

  protected async *stream(id: RegionId, range: RegionRange, call: CallOptions): AsyncGenerator<Uint8Array> {
    this.enter();
    try {
      const body = await this.#bodyOfRange(id, range, call);
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

  protected async fillv(
    id: RegionId,
    { ranges }: CheckedRanges,
    take: () => Buffer,
    call: CallOptions,
  ): Promise<Buffer> {
    const { size } = await this.stat(id, call);
    checkRanges('read', ranges, size);
    const buffer = take();
    let at = 0;
    for (const range of ranges) {
      await this.fill(id, range.offset, buffer.subarray(at, at + range.size), call);
      at += range.size;
    }
    return buffer;
  }

  protected async sendPersist(
    id: RegionId,
    ranges: readonly RegionRange[] | undefined,
    call: CallOptions,
  ): Promise<void> {
    await this.#send({
      method: 'POST',
      path: `/regions/${id.toString()}/persist`,
      ...(ranges !== undefined && {
        body: JSON.stringify({ ranges }),
        headers: { 'content-type': 'application/json' },
      }),
      ...call,
    });
  }

  protected async sendErase(id: RegionId, call: CallOptions): Promise<void> {
    await this.#send({ method: 'DELETE', path: `/regions/${id.toString()}`, ...call });
  }

  protected async sendStat(id: RegionId, call: CallOptions): Promise<RegionStat> {
    const { headers } = await this.#send({ method: 'HEAD', path: `/regions/${id.toString()}`, ...call });
    return { id, size: Number(headers['content-length']), createdAt: Number(headers['region-created-at']) };
  }

  protected async sendList(
    after: RegionId | undefined,
    limit: number,
    call: CallOptions,
  ): Promise<RegionPage> {
    const query = { after: after?.toString(), limit };
    const page = await this.#json<WirePage>({ method: 'GET', path: '/regions', query, ...call });
    return {
      regions: page.regions.map(({ id, size, createdAt }) => ({ id: RegionId.parse(id), size, createdAt })),
      ...(page.next !== undefined && { next: RegionId.parse(page.next) }),
    };
  }

  stats(call: CallOptions = {}): Promise<TargetStats> {
    return this.#json<TargetStats>({ method: 'GET', path: '/stats', ...call });
  }

  async #json<T>(request: HttpRequest): Promise<T> {
    this.enter();
    try {
      return await this.connection.json<T>(this.#located(request));
    } finally {
      this.leave();
    }
  }

  async #send(request: HttpRequest): Promise<HttpResponse> {
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

interface WirePage {
  regions: { id: string; size: number; createdAt: number }[];
  next?: string;
}
