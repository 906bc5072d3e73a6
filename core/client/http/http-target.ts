/**
 * A target of another daemon, over HTTP. Each call is one request; a call with several ranges is
 * one request per range. Closing waits for all requests of a call, and the caller's time-out and
 * signal apply to the call as a whole.
 *
 * If a call takes several requests, the first looks up the name, and the others use the ID that it
 * found.
 */
import type { Readable } from 'node:stream';
import { BedrockError } from '../../base/errors.js';
import type {
  Change,
  NamedRegion,
  NamesPage,
  PutOptions,
  RegionRef,
  TransactionResult,
} from '../../contract/names.js';
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
import { type CheckedNames, movedBytes } from '../../targets/name-arguments.js';
import { BaseRemoteTarget } from '../remote/base-remote-target.js';
import { ofTheWhole } from '../remote/call-options.js';
import type { RemoteTargetDescription, RemoteTargetKey } from '../remote/remote-calls.js';
import { bodyOf, bodyOfBytes, bodyOfSource, headersOfCondition, inPath, jsonBody } from './request-parts.js';
import type { HttpConnection, HttpRequest, HttpResponse } from './http-connection.js';
import {
  idOf,
  namedOf,
  namesOf,
  pageOf,
  refusalOfHead,
  refusalOfPut,
  refusalOfTransaction,
  statOf,
  transactionOf,
  type WireIds,
  type WireNames,
  type WirePage,
} from './region-answers.js';
import { wireChanges } from './wire-changes.js';

export class HttpTarget extends BaseRemoteTarget {
  readonly #path: string;
  readonly #query: { target?: number };

  constructor(
    private readonly connection: HttpConnection,
    { provider, index }: RemoteTargetKey,
    description: RemoteTargetDescription,
  ) {
    super(description, connection.work);
    this.#path = `/v1/providers/${encodeURIComponent(provider)}`;
    this.#query = index === 0 ? {} : { target: index };
  }

  protected sendCreate(size: number, call: CallOptions, name: string | undefined): Promise<RegionId> {
    return this.#create({ query: { size, name }, ...call });
  }

  protected sendContents(
    contents: RegionSource | Uint8Array,
    persist: boolean,
    call: CallOptions,
    name: string | undefined,
  ): Promise<RegionId> {
    const size = ArrayBuffer.isView(contents) ? contents.length : contents.size;
    return this.#create({ query: { size, persist, name }, ...bodyOf(contents), ...call });
  }

  async #create(request: Pick<HttpRequest, 'query' | 'headers' | 'body'> & CallOptions): Promise<RegionId> {
    const { id } = await this.#json<{ id: string }>({ ...request, method: 'POST', path: '/regions' });
    return RegionId.parse(id);
  }

  protected sendWrite(
    ref: RegionRef,
    offset: number,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    return this.#write(ref, { offset, persist }, { ...bodyOfBytes(bytes), ...call });
  }

  protected sendSource(
    ref: RegionRef,
    offset: number,
    source: RegionSource,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    return this.#write(ref, { offset, persist }, { ...bodyOfSource(source), ...call });
  }

  async #write(
    ref: RegionRef,
    query: { offset: number; persist: boolean },
    body: Pick<HttpRequest, 'headers' | 'body'> & CallOptions,
  ): Promise<void> {
    await this.#send({ ...this.#put(ref, query), ...body });
  }

  #put(ref: RegionRef, query: { offset: number; persist: boolean }): HttpRequest {
    return { method: 'PUT', path: `/regions/${inPath(ref)}`, query };
  }

  protected async sendWritev(
    ref: RegionRef,
    { ranges, total }: CheckedRanges,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    await this.during(async () => {
      const whole = ofTheWhole(call);
      const region = await this.#stat(ref, whole);
      checkRanges('write', ranges, region.size);
      checkTotal(total, bytes);
      let from = 0;
      for (const { offset, size } of ranges) {
        const part = bytes.subarray(from, (from += size));
        const query = { offset, persist: false };
        await this.#request({ ...this.#put(region.id, query), ...bodyOfBytes(part), ...whole });
      }
      if (persist) await this.#request(this.#persist(region.id, ranges, whole));
    });
  }

  protected async fill(ref: RegionRef, offset: number, buffer: Uint8Array, call: CallOptions): Promise<void> {
    const range = { offset, size: buffer.length };
    await this.during(async () => {
      // There are no bytes to request, but the bounds are checked.
      if (isUnaskable(range)) checkRange('read', offset, range.size, (await this.#stat(ref, call)).size);
      else await this.#take(ref, range, () => buffer, call);
    });
  }

  /** The head of the response says whether the region has the whole range. */
  protected sendReadLarge(ref: RegionRef, range: RegionRange, call: CallOptions): Promise<Uint8Array> {
    const { offset, size } = range;
    return this.during(async () => {
      if (isUnaskable(range)) checkRange('read', offset, size, (await this.#stat(ref, call)).size);
      return this.#take(ref, range, () => allocateBuffer(size), call);
    });
  }

  /**
   * Reads a range that is not empty, in one request. The buffer is allocated only after the bounds
   * were found to be right.
   */
  async #take<B extends Uint8Array>(
    ref: RegionRef,
    range: RegionRange,
    take: () => B,
    call: CallOptions,
  ): Promise<B> {
    const body = await this.#bodyOfRange(ref, range, call);
    try {
      const buffer = take();
      let at = 0;
      for await (const piece of body as AsyncIterable<Buffer>) {
        buffer.set(piece, at);
        at += piece.length;
      }
      return buffer;
    } catch (error) {
      // Nobody reads the body any more, so nobody needs the error of its early end.
      body.on('error', () => undefined).destroy();
      throw this.connection.translate(error, call);
    }
  }

  protected async *stream(ref: RegionRef, range: RegionRange, call: CallOptions): AsyncGenerator<Uint8Array> {
    this.beginWork();
    try {
      const body = await this.#bodyOfRange(ref, range, call);
      for await (const piece of body as AsyncIterable<Buffer>) yield piece;
    } catch (error) {
      throw this.connection.translate(error, call);
    } finally {
      this.endWork();
    }
  }

  async #bodyOfRange(ref: RegionRef, { offset, size }: RegionRange, call: CallOptions): Promise<Readable> {
    const { headers, body } = await this.connection.request({
      method: 'GET',
      path: `${this.#path}/regions/${inPath(ref)}`,
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
    ref: RegionRef,
    { ranges }: CheckedRanges,
    take: () => Buffer,
    call: CallOptions,
  ): Promise<Buffer> {
    return this.during(async () => {
      const whole = ofTheWhole(call);
      let buffer: Buffer | undefined;
      await this.#fromOneRegion(ref, whole, async ({ id, size }) => {
        checkRanges('read', ranges, size);
        buffer ??= take();
        let at = 0;
        for (const range of ranges) {
          const part = buffer.subarray(at, (at += range.size));
          if (range.size > 0) await this.#take(id, range, () => part, whole);
        }
      });
      return buffer as Buffer;
    });
  }

  /**
   * Reads in several requests from one region. If the name was given to another region meanwhile,
   * and the old region is gone, the new one is read from the start.
   */
  async #fromOneRegion(
    ref: RegionRef,
    call: CallOptions,
    read: (region: RegionStat) => Promise<void>,
  ): Promise<void> {
    for (let gone: RegionId | undefined; ;) {
      const region = await this.#stat(ref, call);
      try {
        await read(region);
        return;
      } catch (error) {
        const isGone = error instanceof BedrockError && error.code === 'REGION_NOT_FOUND';
        if (!isGone || typeof ref !== 'string' || gone?.equals(region.id) === true) throw error;
        gone = region.id;
      }
    }
  }

  protected async sendPersist(
    ref: RegionRef,
    ranges: readonly RegionRange[] | undefined,
    call: CallOptions,
  ): Promise<void> {
    await this.#send(this.#persist(ref, ranges, call));
  }

  #persist(ref: RegionRef, ranges: readonly RegionRange[] | undefined, call: CallOptions): HttpRequest {
    return {
      method: 'POST',
      path: `/regions/${inPath(ref)}/persist`,
      ...(ranges !== undefined && jsonBody({ ranges })),
      ...call,
    };
  }

  protected async sendErase(ref: RegionRef, call: CallOptions): Promise<void> {
    await this.#send({ method: 'DELETE', path: `/regions/${inPath(ref)}`, ...call });
  }

  protected sendStat(ref: RegionRef, call: CallOptions): Promise<RegionStat> {
    return this.during(() => this.#stat(ref, call));
  }

  async #stat(ref: RegionRef, call: CallOptions): Promise<RegionStat> {
    if (typeof ref === 'string') return this.#find(ref, call);
    const { headers } = await this.#head(`/regions/${inPath(ref)}`, ref, call);
    return statOf(headers, ref);
  }

  async #find(name: string, call: CallOptions): Promise<NamedRegion> {
    const { headers } = await this.#head(`/names/${inPath(name)}`, name, call);
    return namedOf(headers, name);
  }

  #head(path: string, ref: RegionRef, call: CallOptions): Promise<HttpResponse> {
    return this.#request({ method: 'HEAD', path, ...call }).catch((error: unknown) => {
      throw refusalOfHead(error, ref, this.type);
    });
  }

  protected async sendList(
    after: RegionId | undefined,
    limit: number,
    call: CallOptions,
  ): Promise<RegionPage> {
    const query = { after: after?.toString(), limit };
    return pageOf(await this.#json<WirePage>({ method: 'GET', path: '/regions', query, ...call }));
  }

  protected async sendPut(
    name: string,
    contents: RegionSource | Uint8Array,
    condition: PutOptions['if'],
    call: CallOptions,
  ): Promise<RegionId> {
    const body = bodyOf(contents);
    const headers = { ...body.headers, ...headersOfCondition(condition) };
    const path = `/names/${inPath(name)}`;
    try {
      return idOf((await this.#send({ method: 'PUT', path, ...call, ...body, headers })).headers);
    } catch (error) {
      throw refusalOfPut(error, condition);
    }
  }

  protected sendFind(name: string, call: CallOptions): Promise<NamedRegion> {
    return this.during(() => this.#find(name, call));
  }

  protected async sendRename(
    ref: RegionRef,
    name: string | null,
    replace: boolean,
    call: CallOptions,
  ): Promise<void> {
    const json = jsonBody({ name });
    await this.#send({
      method: 'PATCH',
      path: `/regions/${inPath(ref)}`,
      query: { replace },
      ...json,
      ...call,
    });
  }

  protected async sendNames(options: CheckedNames, call: CallOptions): Promise<NamesPage> {
    const query = { ...options };
    return namesOf(await this.#json<WireNames>({ method: 'GET', path: '/names', query, ...call }));
  }

  protected async sendTransaction(changes: readonly Change[], call: CallOptions): Promise<TransactionResult> {
    const json = jsonBody({ changes: wireChanges(changes) });
    try {
      const request = { method: 'POST', path: '/transactions', ...json, ...call } as const;
      return transactionOf(await this.#json<WireIds>(request));
    } catch (error) {
      throw refusalOfTransaction(error, movedBytes(changes));
    }
  }

  stats(call: CallOptions = {}): Promise<TargetStats> {
    return this.#json<TargetStats>({ method: 'GET', path: '/stats', ...call });
  }

  #json<T>(request: HttpRequest): Promise<T> {
    return this.during(() => this.connection.json<T>(this.#located(request)));
  }

  #send(request: HttpRequest): Promise<HttpResponse> {
    return this.during(() => this.#request(request));
  }

  /** Sends a request that is part of a call. */
  #request(request: HttpRequest): Promise<HttpResponse> {
    return this.connection.send(this.#located(request));
  }

  #located(request: HttpRequest): HttpRequest {
    return { ...request, path: this.#path + request.path, query: { ...this.#query, ...request.query } };
  }
}

/** Whether a Range header cannot express the range: it is empty, or its end is not a safe integer. */
function isUnaskable({ offset, size }: RegionRange): boolean {
  return size === 0 || !Number.isSafeInteger(offset + size);
}
