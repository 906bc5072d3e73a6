/**
 * A target of another daemon over the Redis protocol.
 *
 * A small read or write is one command. Of a large one, pieces of `PIECE_BYTES` are on their way at once, after its bounds were
 * compared with the region's size, so that nothing is written of what cannot be written whole. Many ranges share a command.
 */
import { allocateBytes } from '../../base/allocation.js';
import { BedrockError } from '../../base/errors.js';
import type { RegionId } from '../../contract/region-id.js';
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
import { type SourceBounds, SourceFailure } from '../remote/source.js';
import { batchesOf, bytesOf, fitInOne, groupsOf } from './batches.js';
import type { Argument } from './call.js';
import type { Link } from './link.js';
import { gathered, moveBytes, type MovePiece, moveSource, PIECE_BYTES, WINDOW } from './pieces.js';
import { type CommandParts, ReadCall, type RegionCall, TargetPlace, WriteCall } from './region-call.js';
import { fills, idOf, isOk, pageOf, statOf, statsOf } from './region-replies.js';
import { RegionUpload } from './upload.js';

export class RespTarget extends BaseRemoteTarget {
  readonly #place: TargetPlace;
  readonly #left = (): void => {
    this.link.leave();
    this.leave();
  };

  constructor(
    private readonly link: Link,
    { provider, index }: RemoteTargetPlace,
    description: RemoteTargetDescription,
  ) {
    super(description);
    this.#place = new TargetPlace(provider, index);
  }

  /** Largest piece of a transfer. */
  get #pieceBytes(): number {
    return Math.min(PIECE_BYTES, this.link.limits.maxBulkBytes);
  }

  #submit<T>(sent: RegionCall<T>, call: CallOptions): Promise<T> {
    this.#enter();
    sent.whenSettled = this.#left;
    try {
      return this.link.submit(sent, call);
    } catch (error) {
      this.#left();
      throw error;
    }
  }

  /** A command within work that `close` waits for. */
  #command<T>(parts: CommandParts<T>, call: CallOptions): Promise<T> {
    return this.link.command(this.#place, parts, call);
  }

  /** Begins work that the closing of this target and that of the link wait for until `#left`. */
  #enter(): void {
    this.checkOpen();
    this.link.enter();
    this.enter();
  }

  /** Work of several commands, which `close` waits for as a whole. */
  async #during<T>(work: () => Promise<T>): Promise<T> {
    this.#enter();
    try {
      return await work();
    } finally {
      this.#left();
    }
  }

  // ---- creation ----

  protected async sendCreate(size: number, call: CallOptions): Promise<RegionId> {
    const parts = { name: 'BLOB.CREATE', args: [size], isRepeatable: false, result: idOf };
    return this.#during(() => this.#command(parts, call));
  }

  protected sendContents(
    contents: RegionSource | Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<RegionId> {
    const pieceBytes = this.#pieceBytes;
    if (ArrayBuffer.isView(contents)) {
      const { length } = contents;
      if (length <= pieceBytes) return this.#during(() => this.#createWith(contents, persist, call));
      return this.#upload(length, persist, call, (add) => moveBytes(contents, pieceBytes, add));
    }
    if (contents.size <= pieceBytes) return this.#gather(contents, persist, call);
    return this.#upload(contents.size, persist, call, (add, bounds) =>
      moveSource(contents, bounds, pieceBytes, add),
    );
  }

  #createWith(bytes: Uint8Array, persist: boolean, call: CallOptions): Promise<RegionId> {
    const { length } = bytes;
    const args = [length, 'DATA', bytes, ...(persist ? [PERSIST] : [])];
    return this.#command(
      { name: 'BLOB.CREATE', args, isRepeatable: false, cost: length, result: idOf },
      call,
    );
  }

  #gather(source: RegionSource, persist: boolean, call: CallOptions): Promise<RegionId> {
    return this.#during(async () => {
      const whole = ofTheWhole(call);
      try {
        return await this.#createWith(await gathered(source, this.#bounds(whole)), persist, whole);
      } catch (error) {
        throw callersOwn(error);
      }
    });
  }

  #upload(
    size: number,
    persist: boolean,
    call: CallOptions,
    move: (add: MovePiece, bounds: SourceBounds) => Promise<void>,
  ): Promise<RegionId> {
    return this.#during(() => {
      const whole = ofTheWhole(call);
      return this.link.uploading(whole.signal, async () => {
        const upload = await RegionUpload.begin(this.link, this.#place, { size, persist }, whole);
        try {
          await move((part) => upload.add(part), this.#bounds(whole));
          return await upload.end();
        } catch (error) {
          await upload.cancel();
          throw callersOwn(error);
        }
      });
    });
  }

  #bounds({ signal }: CallOptions): SourceBounds {
    return { signal, where: this.link.url };
  }

  // ---- writing ----

  protected sendWrite(
    id: RegionId,
    offset: number,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    if (bytes.length <= this.#pieceBytes)
      return this.#submit(new WriteCall(this.#place, id, offset, bytes, persist), call);
    return this.#writeLarge(id, { offset, size: bytes.length }, persist, call, (write) =>
      moveBytes(bytes, this.#pieceBytes, write),
    );
  }

  protected async sendSource(
    id: RegionId,
    offset: number,
    source: RegionSource,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    return this.#writeLarge(id, { offset, size: source.size }, persist, call, (write, bounds) =>
      moveSource(source, bounds, this.#pieceBytes, write),
    );
  }

  #writeLarge(
    id: RegionId,
    range: RegionRange,
    persist: boolean,
    call: CallOptions,
    move: (write: MovePiece, bounds: SourceBounds) => Promise<void>,
  ): Promise<void> {
    return this.#during(async () => {
      const whole = ofTheWhole(call);
      checkRange('write', range.offset, range.size, (await this.#stat(id, whole)).size);
      const write: MovePiece = (piece, at) =>
        this.link.submit(new WriteCall(this.#place, id, range.offset + at, piece, false), whole);
      try {
        await move(write, this.#bounds(whole));
      } catch (error) {
        throw callersOwn(error);
      }
      if (persist) await this.#persist(id, [range], whole);
    });
  }

  protected async sendWritev(
    id: RegionId,
    { ranges, total }: CheckedRanges,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    const { limits } = this.link;
    // One command has the daemon check everything; but that the bytes do not fit is said after that the region is not there.
    const isOne = fitInOne(ranges, total, limits) && total === bytes.length;
    await this.#during(async () => {
      const whole = ofTheWhole(call);
      if (!isOne) checkRanges('write', ranges, (await this.#stat(id, whole)).size);
      checkTotal(total, bytes);
      let from = 0;
      for (const batch of batchesOf(ranges, limits)) {
        const args = batch.flatMap(({ offset, size }): Argument[] => [
          offset,
          bytes.subarray(from, (from += size)),
        ]);
        if (isOne && persist) args.push(PERSIST);
        const cost = bytesOf(batch);
        await this.#command(
          { name: 'BLOB.WRITEV', id, args, isRepeatable: false, cost, result: isOk },
          whole,
        );
      }
      if (!isOne && persist) await this.#persist(id, ranges, whole);
    });
  }

  // ---- reading ----

  protected fill(id: RegionId, offset: number, buffer: Uint8Array, call: CallOptions): Promise<void> {
    if (buffer.length <= this.#pieceBytes)
      return this.#submit(new ReadCall(this.#place, id, offset, buffer), call);
    return this.#fillLarge(id, { offset, size: buffer.length }, () => buffer, call).then(() => undefined);
  }

  protected sendReadLarge(id: RegionId, range: RegionRange, call: CallOptions): Promise<Uint8Array> {
    return this.#fillLarge(id, range, () => allocateBuffer(range.size), call);
  }

  #fillLarge<B extends Uint8Array>(
    id: RegionId,
    { offset, size }: RegionRange,
    take: () => B,
    call: CallOptions,
  ): Promise<B> {
    return this.#during(async () => {
      const whole = ofTheWhole(call);
      checkRange('read', offset, size, (await this.#stat(id, whole)).size);
      const buffer = take();
      await moveBytes(buffer, this.#pieceBytes, (piece, at) =>
        this.link.submit(new ReadCall(this.#place, id, offset + at, piece), whole),
      );
      return buffer;
    });
  }

  protected async *stream(
    id: RegionId,
    { offset, size }: RegionRange,
    call: CallOptions,
  ): AsyncGenerator<Uint8Array> {
    const whole = ofTheWhole(call);
    this.#enter();
    const ahead: Piece[] = [];
    try {
      checkRange('read', offset, size, (await this.#stat(id, whole)).size);
      const pieceBytes = this.#pieceBytes;
      for (let at = 0; at < size || ahead.length > 0;) {
        for (; at < size && ahead.length < WINDOW; at += pieceBytes)
          ahead.push(this.#piece(id, offset + at, Math.min(pieceBytes, size - at), whole));
        const { call: read, bytes } = ahead.shift() as Piece;
        await read.promise;
        yield bytes;
      }
    } finally {
      // Nobody waits for them; what comes of them yet goes into memory that is nobody else's.
      for (const piece of ahead) piece.call.fail(new BedrockError('ABORTED', 'the stream was left'));
      this.#left();
    }
  }

  #piece(id: RegionId, offset: number, size: number, call: CallOptions): Piece {
    const bytes = allocateBytes(size);
    const read = new ReadCall(this.#place, id, offset, bytes);
    // Whoever takes the pieces meets the failure when its turn comes, if it comes.
    this.link.submit(read, call).catch(() => undefined);
    return { call: read, bytes };
  }

  protected async fillv(
    id: RegionId,
    { ranges, total }: CheckedRanges,
    take: () => Buffer,
    call: CallOptions,
  ): Promise<Buffer> {
    const { limits } = this.link;
    return this.#during(async () => {
      const whole = ofTheWhole(call);
      if (!fitInOne(ranges, total, limits)) checkRanges('read', ranges, (await this.#stat(id, whole)).size);
      const buffer = take();
      let from = 0;
      for (const batch of batchesOf(ranges, limits)) {
        const args = batch.flatMap(({ offset, size }) => [offset, size]);
        const cost = bytesOf(batch);
        const into = buffer.subarray(from, (from += cost));
        const parts = { name: 'BLOB.READV', id, args, isRepeatable: true, into, cost, result: fills(cost) };
        await this.#command(parts, whole);
      }
      return buffer;
    });
  }

  // ---- the rest of a region's life ----

  protected async sendPersist(
    id: RegionId,
    ranges: readonly RegionRange[] | undefined,
    call: CallOptions,
  ): Promise<void> {
    return this.#during(() => this.#persist(id, ranges, ofTheWhole(call)));
  }

  async #persist(id: RegionId, ranges: readonly RegionRange[] | undefined, call: CallOptions): Promise<void> {
    const persist = (args: readonly number[]): Promise<void> =>
      this.#command({ name: 'BLOB.PERSIST', id, args, isRepeatable: true, result: isOk }, call);
    if (ranges === undefined) return persist([]);
    const groups = groupsOf(ranges, this.link.limits);
    if (groups.length !== 1) checkRanges('persist', ranges, (await this.#stat(id, call)).size);
    for (const group of groups) await persist(group.flatMap(({ offset, size }) => [offset, size]));
  }

  protected async sendErase(id: RegionId, call: CallOptions): Promise<void> {
    const parts = { name: 'BLOB.ERASE', id, isRepeatable: false, result: isOk };
    return this.#during(() => this.#command(parts, call));
  }

  protected async sendStat(id: RegionId, call: CallOptions): Promise<RegionStat> {
    return this.#during(() => this.#stat(id, call));
  }

  #stat(id: RegionId, call: CallOptions): Promise<RegionStat> {
    return this.#command({ name: 'BLOB.STAT', id, isRepeatable: true, result: statOf }, call);
  }

  protected async sendList(
    after: RegionId | undefined,
    limit: number,
    call: CallOptions,
  ): Promise<RegionPage> {
    const from = after === undefined ? [] : ['AFTER', after.toString()];
    const args = [...from, 'COUNT', limit];
    const parts = { name: 'BLOB.LIST', args, isRepeatable: true, result: pageOf };
    return this.#during(() => this.#command(parts, call));
  }

  async stats(call: CallOptions = {}): Promise<TargetStats> {
    const parts = { name: 'BLOB.STATS', isRepeatable: true, result: statsOf };
    return this.#during(() => this.#command(parts, call));
  }
}

const PERSIST = 'PERSIST';

/** A piece of a stream, on its way. */
interface Piece {
  readonly call: ReadCall;
  readonly bytes: Buffer;
}

/** What the caller's own source threw comes out as it was. */
function callersOwn(error: unknown): unknown {
  return error instanceof SourceFailure ? error.cause : error;
}
