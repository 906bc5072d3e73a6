/**
 * A target of another daemon over HTTP: one request a call, and one a range where there are several. The requests of a call are one
 * work: closing waits for all of them, and the caller's bounds are those of the whole.
 */
import type { Readable } from 'node:stream';
import { encodeText } from '../../base/allocation.js';
import { BedrockError } from '../../base/errors.js';
import { RegionId } from '../../contract/region-id.js';
import type { CallOptions } from '../../contract/remote-provider.js';
import type {
  RegionPage,
  RegionRange,
  RegionSource,
  RegionStat,
  TargetStats,
} from '../../contract/target.js';
import {
  allocateBuffer,
  type CheckedRanges,
  checkRange,
  checkRanges,
  checkTotal,
} from '../../targets/arguments.js';
import {
  BaseRemoteTarget,
  type RemoteTargetDescription,
  type RemoteTargetPlace,
} from '../remote/base-remote-target.js';
import { ofTheWhole } from '../remote/call-options.js';
import { bodyOfBytes, bodyOfSource } from './contents.js';
import type { HttpConnection, HttpRequest, HttpResponse } from './http-connection.js';

export class HttpTarget extends BaseRemoteTarget {
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
    await this.#send({ ...this.#put(id, query), ...body });
  }

  #put(id: RegionId, query: { offset: number; persist: boolean }): HttpRequest {
    return { method: 'PUT', path: `/regions/${id.toString()}`, query };
  }

  protected async sendWritev(
    id: RegionId,
    { ranges, total }: CheckedRanges,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    await this.#during(async () => {
      const whole = ofTheWhole(call);
      checkRanges('write', ranges, (await this.#stat(id, whole)).size);
      checkTotal(total, bytes);
      let from = 0;
      for (const { offset, size } of ranges) {
        const part = bytes.subarray(from, (from += size));
        const query = { offset, persist: false };
        await this.#request({ ...this.#put(id, query), ...bodyOfBytes(part), ...whole });
      }
      if (persist) await this.#request(this.#persist(id, ranges, whole));
    });
  }

  protected async fill(id: RegionId, offset: number, buffer: Uint8Array, call: CallOptions): Promise<void> {
    const range = { offset, size: buffer.length };
    await this.#during(async () => {
      // There are no bytes to ask for; the bounds still count.
      if (isUnaskable(range)) checkRange('read', offset, range.size, (await this.#stat(id, call)).size);
      else await this.#take(id, range, () => buffer, call);
    });
  }

  /** The head of the answer says whether the region has it all. */
  protected sendReadLarge(id: RegionId, range: RegionRange, call: CallOptions): Promise<Uint8Array> {
    const { offset, size } = range;
    return this.#during(async () => {
      if (isUnaskable(range)) checkRange('read', offset, size, (await this.#stat(id, call)).size);
      return this.#take(id, range, () => allocateBuffer(size), call);
    });
  }

  /** Reads a range that is not empty, in one request; the buffer is taken when its bounds are known to be right. */
  async #take<B extends Uint8Array>(
    id: RegionId,
    range: RegionRange,
    take: () => B,
    call: CallOptions,
  ): Promise<B> {
    const body = await this.#bodyOfRange(id, range, call);
    try {
      const buffer = take();
      let at = 0;
      for await (const piece of body as AsyncIterable<Buffer>) {
        buffer.set(piece, at);
        at += piece.length;
      }
      return buffer;
    } catch (error) {
      // Nobody reads it who would hear that it ended before its end.
      body.on('error', () => undefined).destroy();
      throw this.connection.translate(error, call);
    }
  }

  protected async *stream(id: RegionId, range: RegionRange, call: CallOptions): AsyncGenerator<Uint8Array> {
    this.#enter();
    try {
      const body = await this.#bodyOfRange(id, range, call);
      for await (const piece of body as AsyncIterable<Buffer>) yield piece;
    } catch (error) {
      throw this.connection.translate(error, call);
    } finally {
      this.#leave();
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
    return this.#during(async () => {
      const whole = ofTheWhole(call);
      checkRanges('read', ranges, (await this.#stat(id, whole)).size);
      const buffer = take();
      let at = 0;
      for (const range of ranges) {
        const part = buffer.subarray(at, (at += range.size));
        if (range.size > 0) await this.#take(id, range, () => part, whole);
      }
      return buffer;
    });
  }

  protected async sendPersist(
    id: RegionId,
    ranges: readonly RegionRange[] | undefined,
    call: CallOptions,
  ): Promise<void> {
    await this.#send(this.#persist(id, ranges, call));
  }

  #persist(id: RegionId, ranges: readonly RegionRange[] | undefined, call: CallOptions): HttpRequest {
    return {
      method: 'POST',
      path: `/regions/${id.toString()}/persist`,
      ...(ranges !== undefined && {
        body: encodeText(JSON.stringify({ ranges })),
        headers: { 'content-type': 'application/json' },
      }),
      ...call,
    };
  }

  protected async sendErase(id: RegionId, call: CallOptions): Promise<void> {
    await this.#send({ method: 'DELETE', path: `/regions/${id.toString()}`, ...call });
  }

  protected sendStat(id: RegionId, call: CallOptions): Promise<RegionStat> {
    return this.#during(() => this.#stat(id, call));
  }

  async #stat(id: RegionId, call: CallOptions): Promise<RegionStat> {
    const { headers } = await this.#request({ method: 'HEAD', path: `/regions/${id.toString()}`, ...call });
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

  #json<T>(request: HttpRequest): Promise<T> {
    return this.#during(() => this.connection.json<T>(this.#located(request)));
  }

  #send(request: HttpRequest): Promise<HttpResponse> {
    return this.#during(() => this.#request(request));
  }

  /** A request within a call. */
  #request(request: HttpRequest): Promise<HttpResponse> {
    return this.connection.send(this.#located(request));
  }

  /** Begins a call, which the closing of this target and that of the service wait for until `#leave`. */
  #enter(): void {
    this.checkOpen();
    this.connection.enter();
    this.enter();
  }

  #leave(): void {
    this.connection.leave();
    this.leave();
  }

  async #during<T>(work: () => Promise<T>): Promise<T> {
    this.#enter();
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  #located(request: HttpRequest): HttpRequest {
    return { ...request, path: this.#path + request.path, query: { ...this.#query, ...request.query } };
  }
}

/** A header cannot ask for no bytes, nor for more than numbers reach. */
function isUnaskable({ offset, size }: RegionRange): boolean {
  return size === 0 || !Number.isSafeInteger(offset + size);
}

interface WirePage {
  regions: { id: string; size: number; createdAt: number }[];
  next?: string;
}
