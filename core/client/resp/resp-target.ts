/**
 * A target of another daemon over the Redis protocol.
 *
 * A small read or write is one command. Of a large one, pieces of `PIECE_BYTES` are on their way at once, after its bounds were
 * compared with the region's size, so that nothing is written of what cannot be written whole. Many ranges share a command.
 */
import { checkRange, checkRanges, checkTotal, type CheckedRanges } from '../../target/arguments.js';
import type {
  RegionId,
  RegionPage,
  RegionRange,
  RegionSource,
  RegionStat,
  TargetStats,
} from '../../target/index.js';
import { signalOf, type CallOptions } from '../call-options.js';
import { RemoteTarget, type RemoteTargetDescription, type RemoteTargetPlace } from '../remote-target.js';
import { SourceFailure } from '../source.js';
import { batchesOf, bytesOf } from './batches.js';
import type { Argument } from './call.js';
import type { Link } from './link.js';
import { PIECE_BYTES, WINDOW, moveBytes, moveSource, type MovePiece } from './pieces.js';
import {
  CommandCall,
  ReadCall,
  TargetPlace,
  WriteCall,
  type CommandParts,
  type RegionCall,
} from './region-call.js';
import { fills, idOf, isOk, pageOf, statOf, statsOf } from './region-replies.js';
import { RegionUpload } from './upload.js';

/** Bounds of a call that is made of several: those of the whole. */
function ofTheWhole(call: CallOptions): CallOptions {
  const signal = signalOf(call);
  return signal === undefined ? {} : { signal };
}

export class RespTarget extends RemoteTarget {
  readonly #place: TargetPlace;
  readonly #left = (): void => this.leave();

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
    this.enter();
    sent.whenSettled = this.#left;
    return this.link.submit(sent, call);
  }

  #command<T>(parts: CommandParts<T>, call: CallOptions): Promise<T> {
    return this.#submit(new CommandCall(this.#place, parts), call);
  }

  /** Work of several commands, which `close` waits for as a whole. */
  async #during<T>(work: () => Promise<T>): Promise<T> {
    this.enter();
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  // ---- creation ----

  protected async sendCreate(size: number, call: CallOptions): Promise<RegionId> {
    return this.#command({ name: 'BLOB.CREATE', args: [size], isRepeatable: false, result: idOf }, call);
  }

  protected sendContents(
    contents: RegionSource | Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<RegionId> {
    if (!ArrayBuffer.isView(contents))
      return this.#upload(contents.size, persist, call, (add) => moveSource(contents, this.#pieceBytes, add));
    const { length } = contents;
    if (length > this.#pieceBytes)
      return this.#upload(length, persist, call, (add) => moveBytes(contents, this.#pieceBytes, add));
    const args = [length, 'DATA', contents, ...(persist ? ['PERSIST'] : [])];
    return this.#command(
      { name: 'BLOB.CREATE', args, isRepeatable: false, cost: length, result: idOf },
      call,
    );
  }

  #upload(
    size: number,
    persist: boolean,
    call: CallOptions,
    move: (add: MovePiece) => Promise<void>,
  ): Promise<RegionId> {
    return this.#during(async () => {
      const upload = await RegionUpload.begin(this.link, this.#place, { size, persist }, ofTheWhole(call));
      try {
        await move((part) => upload.add(part));
        return await upload.end();
      } catch (error) {
        await upload.cancel();
        throw callersOwn(error);
      }
    });
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
    return this.#writeLarge(id, { offset, size: source.size }, persist, call, (write) =>
      moveSource(source, this.#pieceBytes, write),
    );
  }

  #writeLarge(
    id: RegionId,
    range: RegionRange,
    persist: boolean,
    call: CallOptions,
    move: (write: MovePiece) => Promise<void>,
  ): Promise<void> {
    return this.#during(async () => {
      const whole = ofTheWhole(call);
      checkRange('write', range.offset, range.size, (await this.sendStat(id, whole)).size);
      const write: MovePiece = (piece, at) =>
        this.link.submit(new WriteCall(this.#place, id, range.offset + at, piece, false), whole);
      try {
        await move(write);
      } catch (error) {
        throw callersOwn(error);
      }
      if (persist) await this.sendPersist(id, [range], whole);
    });
  }

  protected async sendWritev(
    id: RegionId,
    { ranges, total }: CheckedRanges,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    const batches = batchesOf(ranges, this.link.limits);
    const isOne = batches.length === 1;
    await this.#during(async () => {
      const whole = ofTheWhole(call);
      if (!isOne) checkRanges('write', ranges, (await this.sendStat(id, whole)).size);
      checkTotal(total, bytes);
      let from = 0;
      for (const batch of batches) {
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
      if (!isOne && persist) await this.sendPersist(id, ranges, whole);
    });
  }

  // ---- reading ----

  protected fill(id: RegionId, offset: number, buffer: Uint8Array, call: CallOptions): Promise<void> {
    if (buffer.length <= this.#pieceBytes)
      return this.#submit(new ReadCall(this.#place, id, offset, buffer), call);
    return this.#during(async () => {
      const whole = ofTheWhole(call);
      checkRange('read', offset, buffer.length, (await this.sendStat(id, whole)).size);
      await moveBytes(buffer, this.#pieceBytes, (piece, at) =>
        this.link.submit(new ReadCall(this.#place, id, offset + at, piece), whole),
      );
    });
  }

  protected async *stream(
    id: RegionId,
    { offset, size }: RegionRange,
    call: CallOptions,
  ): AsyncGenerator<Uint8Array> {
    this.enter();
    const whole = ofTheWhole(call);
    const ahead: Promise<Buffer>[] = [];
    try {
      checkRange('read', offset, size, (await this.sendStat(id, whole)).size);
      const pieceBytes = this.#pieceBytes;
      for (let at = 0; at < size || ahead.length > 0;) {
        for (; at < size && ahead.length < WINDOW; at += pieceBytes)
          ahead.push(this.#piece(id, offset + at, Math.min(pieceBytes, size - at), whole));
        yield await (ahead.shift() as Promise<Buffer>);
      }
    } finally {
      await Promise.allSettled(ahead);
      this.leave();
    }
  }

  #piece(id: RegionId, offset: number, size: number, call: CallOptions): Promise<Buffer> {
    const piece = Buffer.allocUnsafeSlow(size);
    const read = this.link.submit(new ReadCall(this.#place, id, offset, piece), call).then(() => piece);
    // Whoever takes the pieces meets the failure when its turn comes, if it comes.
    read.catch(() => undefined);
    return read;
  }

  protected async fillv(
    id: RegionId,
    { ranges }: CheckedRanges,
    take: () => Buffer,
    call: CallOptions,
  ): Promise<Buffer> {
    const batches = batchesOf(ranges, this.link.limits);
    return this.#during(async () => {
      const whole = ofTheWhole(call);
      if (batches.length !== 1) checkRanges('read', ranges, (await this.sendStat(id, whole)).size);
      const buffer = take();
      let from = 0;
      for (const batch of batches) {
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
    const persist = (args: readonly number[]): Promise<void> =>
      this.#command({ name: 'BLOB.PERSIST', id, args, isRepeatable: true, result: isOk }, call);
    if (ranges === undefined) return persist([]);
    const batches = batchesOf(
      ranges.map(({ offset, size }) => ({ offset, size })),
      { ...this.link.limits, maxBulkBytes: Infinity },
    );
    if (batches.length !== 1) checkRanges('persist', ranges, (await this.sendStat(id, call)).size);
    for (const batch of batches) await persist(batch.flatMap(({ offset, size }) => [offset, size]));
  }

  protected async sendErase(id: RegionId, call: CallOptions): Promise<void> {
    await this.#command({ name: 'BLOB.ERASE', id, isRepeatable: false, result: isOk }, call);
  }

  protected async sendStat(id: RegionId, call: CallOptions): Promise<RegionStat> {
    return this.#command({ name: 'BLOB.STAT', id, isRepeatable: true, result: statOf }, call);
  }

  protected async sendList(
    after: RegionId | undefined,
    limit: number,
    call: CallOptions,
  ): Promise<RegionPage> {
    const from = after === undefined ? [] : ['AFTER', after.toString()];
    const args = [...from, 'COUNT', limit];
    return this.#command({ name: 'BLOB.LIST', args, isRepeatable: true, result: pageOf }, call);
  }

  async stats(call: CallOptions = {}): Promise<TargetStats> {
    return this.#command({ name: 'BLOB.STATS', isRepeatable: true, result: statsOf }, call);
  }
}

const PERSIST = 'PERSIST';

/** What the caller's own source threw comes out as it was. */
function callersOwn(error: unknown): unknown {
  return error instanceof SourceFailure ? error.cause : error;
}
