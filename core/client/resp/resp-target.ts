/**
 * A target of another daemon, over the Redis protocol.
 *
 * A small read or write is one command. A large one is sent in pieces of `COMMAND_PIECE_BYTES`,
 * several in flight at once. Its bounds are first compared with the region's size, so that nothing
 * is written if the whole does not fit. Many ranges share a command.
 */
import { allocateBytes } from '../../base/allocation.js';
import { BedrockError } from '../../base/errors.js';
import {
  type Change,
  MAX_NAME_BYTES,
  type NamedRegion,
  type NamesPage,
  type PutOptions,
  type RegionRef,
  type TransactionResult,
} from '../../contract/names.js';
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
import { type CheckedNames, movedBytes } from '../../targets/name-arguments.js';
import {
  BaseRemoteTarget,
  type RemoteTargetDescription,
  type RemoteTargetKey,
} from '../remote/base-remote-target.js';
import { ofTheWhole } from '../remote/call-options.js';
import { type SourceBounds, SourceFailure } from '../remote/source.js';
import { batchesOf, bytesOf, fitInOne, groupsOf } from './batches.js';
import type { Argument } from './command.js';
import type { Link } from './link.js';
import {
  gathered,
  moveBytes,
  type MovePiece,
  moveSource,
  COMMAND_PIECE_BYTES,
  MAX_PIECES_IN_FLIGHT,
} from './pieces.js';
import {
  type CommandParts,
  Key,
  ReadCommand,
  type DaemonCommand,
  TargetName,
  WriteCommand,
} from './daemon-command.js';
import { fills, idOf, isOk, namesOf, pageOf, statOf, statsOf, transactionOf } from './region-replies.js';
import { RegionUpload, type UploadOptions } from './upload.js';

export class RespTarget extends BaseRemoteTarget {
  readonly #name: TargetName;

  constructor(
    private readonly link: Link,
    { provider, index }: RemoteTargetKey,
    description: RemoteTargetDescription,
  ) {
    super(description, link.work);
    this.#name = new TargetName(provider, index);
  }

  /** Maximum size of a piece of a transfer. */
  get #pieceBytes(): number {
    return Math.min(COMMAND_PIECE_BYTES, this.link.limits.maxBulkBytes);
  }

  #submit<T>(command: DaemonCommand<T>, call: CallOptions): Promise<T> {
    this.beginWork();
    command.whenSettled = this.endWork;
    try {
      return this.link.submit(command, call);
    } catch (error) {
      this.endWork();
      throw error;
    }
  }

  /** Sends a command as work that `close` waits for. */
  #command<T>(parts: CommandParts<T>, call: CallOptions): Promise<T> {
    return this.link.command(this.#name, parts, call);
  }

  // ---- creation ----

  protected async sendCreate(size: number, call: CallOptions, name: string | undefined): Promise<RegionId> {
    const parts = { name: 'BLOB.CREATE', args: [size, ...namedBy(name)], isRepeatable: false, result: idOf };
    return this.during(() => this.#command(parts, call));
  }

  protected sendContents(
    contents: RegionSource | Uint8Array,
    persist: boolean,
    call: CallOptions,
    name: string | undefined,
  ): Promise<RegionId> {
    const options = [...(persist ? [PERSIST] : []), ...namedBy(name)];
    const making: Making = {
      whole: (bytes) => ({ name: 'BLOB.CREATE', args: [bytes.length, 'DATA', bytes, ...options] }),
      options,
    };
    return this.#make(contents, making, call);
  }

  protected sendPut(
    name: string,
    contents: RegionSource | Uint8Array,
    condition: PutOptions['if'],
    call: CallOptions,
  ): Promise<RegionId> {
    const conditions =
      condition === undefined ? [] : condition === 'absent' ? ['ABSENT'] : ['IF', condition.toString()];
    const making: Making = {
      whole: (bytes) => ({ name: 'BLOB.PUT', ref: name, args: [bytes, ...conditions] }),
      options: ['PUT', new Key(name), ...conditions],
      keysTell: true,
    };
    return this.#make(contents, making, call);
  }

  /** Small contents are sent in one command, large ones in parts. */
  #make(contents: RegionSource | Uint8Array, making: Making, call: CallOptions): Promise<RegionId> {
    const pieceBytes = this.#pieceBytes;
    if (ArrayBuffer.isView(contents)) {
      const { length } = contents;
      if (length <= pieceBytes) return this.during(() => this.#makeOf(contents, making, call));
      return this.#upload(length, making, call, (add) => moveBytes(contents, pieceBytes, add));
    }
    if (contents.size <= pieceBytes) return this.#gather(contents, making, call);
    return this.#upload(contents.size, making, call, (add, bounds) =>
      moveSource(contents, bounds, pieceBytes, add),
    );
  }

  #makeOf(bytes: Uint8Array, { whole }: Making, call: CallOptions): Promise<RegionId> {
    return this.#command({ ...whole(bytes), isRepeatable: false, cost: bytes.length, result: idOf }, call);
  }

  #gather(source: RegionSource, making: Making, call: CallOptions): Promise<RegionId> {
    return this.during(async () => {
      const whole = ofTheWhole(call);
      try {
        return await this.#makeOf(await gathered(source, this.#bounds(whole)), making, whole);
      } catch (error) {
        throw callersOwn(error);
      }
    });
  }

  #upload(
    size: number,
    making: Making,
    call: CallOptions,
    move: (add: MovePiece, bounds: SourceBounds) => Promise<void>,
  ): Promise<RegionId> {
    return this.during(() => {
      const whole = ofTheWhole(call);
      return this.link.uploading(whole.signal, async () => {
        const upload = await RegionUpload.begin(this.link, this.#name, size, making, whole);
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
    ref: RegionRef,
    offset: number,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    if (bytes.length <= this.#pieceBytes)
      return this.#submit(new WriteCommand(this.#name, ref, offset, bytes, persist), call);
    return this.#writeLarge(ref, { offset, size: bytes.length }, persist, call, (write) =>
      moveBytes(bytes, this.#pieceBytes, write),
    );
  }

  protected async sendSource(
    ref: RegionRef,
    offset: number,
    source: RegionSource,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    return this.#writeLarge(ref, { offset, size: source.size }, persist, call, (write, bounds) =>
      moveSource(source, bounds, this.#pieceBytes, write),
    );
  }

  #writeLarge(
    ref: RegionRef,
    range: RegionRange,
    persist: boolean,
    call: CallOptions,
    move: (write: MovePiece, bounds: SourceBounds) => Promise<void>,
  ): Promise<void> {
    return this.during(async () => {
      const whole = ofTheWhole(call);
      // All pieces go to the region that has the name now.
      const { id, size } = await this.#stat(ref, whole);
      checkRange('write', range.offset, range.size, size);
      const write: MovePiece = (piece, at) =>
        this.link.submit(new WriteCommand(this.#name, id, range.offset + at, piece, false), whole);
      try {
        await move(write, this.#bounds(whole));
      } catch (error) {
        throw callersOwn(error);
      }
      if (persist) await this.#persist(id, [range], whole);
    });
  }

  protected async sendWritev(
    given: RegionRef,
    { ranges, total }: CheckedRanges,
    bytes: Uint8Array,
    persist: boolean,
    call: CallOptions,
  ): Promise<void> {
    const { limits } = this.link;
    // With one command the daemon checks everything. But an unknown region must be reported before
    // a wrong number of bytes.
    const isOne = fitInOne(ranges, total, limits) && total === bytes.length;
    await this.during(async () => {
      const whole = ofTheWhole(call);
      const ref = isOne ? given : await this.#checked('write', given, ranges, whole);
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
          { name: 'BLOB.WRITEV', ref, args, isRepeatable: false, cost, result: isOk },
          whole,
        );
      }
      if (!isOne && persist) await this.#persist(ref, ranges, whole);
    });
  }

  // ---- reading ----

  protected fill(ref: RegionRef, offset: number, buffer: Uint8Array, call: CallOptions): Promise<void> {
    if (buffer.length <= this.#pieceBytes)
      return this.#submit(new ReadCommand(this.#name, ref, offset, buffer), call);
    return this.#fillLarge(ref, { offset, size: buffer.length }, () => buffer, call).then(() => undefined);
  }

  protected sendReadLarge(ref: RegionRef, range: RegionRange, call: CallOptions): Promise<Uint8Array> {
    return this.#fillLarge(ref, range, () => allocateBuffer(range.size), call);
  }

  #fillLarge<B extends Uint8Array>(
    ref: RegionRef,
    { offset, size }: RegionRange,
    take: () => B,
    call: CallOptions,
  ): Promise<B> {
    return this.during(async () => {
      const whole = ofTheWhole(call);
      const { id, size: regionSize } = await this.#stat(ref, whole);
      checkRange('read', offset, size, regionSize);
      const buffer = take();
      await moveBytes(buffer, this.#pieceBytes, (piece, at) =>
        this.link.submit(new ReadCommand(this.#name, id, offset + at, piece), whole),
      );
      return buffer;
    });
  }

  protected async *stream(
    ref: RegionRef,
    { offset, size }: RegionRange,
    call: CallOptions,
  ): AsyncGenerator<Uint8Array> {
    const whole = ofTheWhole(call);
    this.beginWork();
    const ahead: Piece[] = [];
    try {
      const { id, size: regionSize } = await this.#stat(ref, whole);
      checkRange('read', offset, size, regionSize);
      const pieceBytes = this.#pieceBytes;
      for (let at = 0; at < size || ahead.length > 0;) {
        for (; at < size && ahead.length < MAX_PIECES_IN_FLIGHT; at += pieceBytes)
          ahead.push(this.#piece(id, offset + at, Math.min(pieceBytes, size - at), whole));
        const { read, bytes } = ahead.shift() as Piece;
        await read.promise;
        yield bytes;
      }
    } finally {
      // Nobody waits for these pieces. If they still arrive, they go to memory that nobody else uses.
      for (const piece of ahead) piece.read.fail(new BedrockError('ABORTED', 'the stream was left'));
      this.endWork();
    }
  }

  #piece(id: RegionId, offset: number, size: number, call: CallOptions): Piece {
    const bytes = allocateBytes(size);
    const read = new ReadCommand(this.#name, id, offset, bytes);
    // The reader of the pieces gets the failure when it reaches this piece, if it does.
    this.link.submit(read, call).catch(() => undefined);
    return { read, bytes };
  }

  protected async fillv(
    given: RegionRef,
    { ranges, total }: CheckedRanges,
    take: () => Buffer,
    call: CallOptions,
  ): Promise<Buffer> {
    const { limits } = this.link;
    return this.during(async () => {
      const whole = ofTheWhole(call);
      const isOne = fitInOne(ranges, total, limits);
      const ref = isOne ? given : await this.#checked('read', given, ranges, whole);
      const buffer = take();
      let from = 0;
      for (const batch of batchesOf(ranges, limits)) {
        const args = batch.flatMap(({ offset, size }) => [offset, size]);
        const cost = bytesOf(batch);
        const into = buffer.subarray(from, (from += cost));
        const parts = { name: 'BLOB.READV', ref, args, isRepeatable: true, into, cost, result: fills(cost) };
        await this.#command(parts, whole);
      }
      return buffer;
    });
  }

  // ---- the rest of a region's life ----

  protected async sendPersist(
    ref: RegionRef,
    ranges: readonly RegionRange[] | undefined,
    call: CallOptions,
  ): Promise<void> {
    return this.during(() => this.#persist(ref, ranges, ofTheWhole(call)));
  }

  async #persist(
    given: RegionRef,
    ranges: readonly RegionRange[] | undefined,
    call: CallOptions,
  ): Promise<void> {
    const groups = ranges === undefined ? [] : groupsOf(ranges, this.link.limits);
    const isOne = ranges === undefined || groups.length === 1;
    const ref = isOne ? given : await this.#checked('persist', given, ranges, call);
    const persist = (args: readonly number[]): Promise<void> =>
      this.#command({ name: 'BLOB.PERSIST', ref, args, isRepeatable: true, result: isOk }, call);
    if (ranges === undefined) return persist([]);
    for (const group of groups) await persist(group.flatMap(({ offset, size }) => [offset, size]));
  }

  protected async sendErase(ref: RegionRef, call: CallOptions): Promise<void> {
    const parts = { name: 'BLOB.ERASE', ref, isRepeatable: false, result: isOk };
    return this.during(() => this.#command(parts, call));
  }

  protected async sendStat(ref: RegionRef, call: CallOptions): Promise<RegionStat> {
    return this.during(() => this.#stat(ref, call));
  }

  /**
   * Finds the region of the ranges and checks their bounds, for several commands.
   * @throws REGION_NOT_FOUND, OUT_OF_RANGE
   */
  async #checked(
    action: string,
    ref: RegionRef,
    ranges: readonly RegionRange[],
    call: CallOptions,
  ): Promise<RegionId> {
    const { id, size } = await this.#stat(ref, call);
    checkRanges(action, ranges, size);
    return id;
  }

  #stat(ref: RegionRef, call: CallOptions): Promise<RegionStat> {
    return this.#command({ name: 'BLOB.STAT', ref, isRepeatable: true, result: statOf }, call);
  }

  protected async sendList(
    after: RegionId | undefined,
    limit: number,
    call: CallOptions,
  ): Promise<RegionPage> {
    const from = after === undefined ? [] : ['AFTER', after.toString()];
    const args = [...from, 'COUNT', limit];
    const parts = { name: 'BLOB.LIST', args, isRepeatable: true, result: pageOf };
    return this.during(() => this.#command(parts, call));
  }

  // ---- names ----

  protected sendFind(name: string, call: CallOptions): Promise<NamedRegion> {
    return this.during(async () => ({ ...(await this.#stat(name, call)), name }));
  }

  protected async sendRename(
    ref: RegionRef,
    name: string | null,
    replace: boolean,
    call: CallOptions,
  ): Promise<void> {
    const args = [name === null ? '' : new Key(name), ...(replace ? ['REPLACE'] : [])];
    const parts = { name: 'BLOB.RENAME', ref, args, isRepeatable: false, result: isOk };
    return this.during(() => this.#command(parts, call));
  }

  protected async sendNames(options: CheckedNames, call: CallOptions): Promise<NamesPage> {
    const { prefix, delimiter, after, limit } = options;
    const args = [
      ...(prefix === '' ? [] : ['PREFIX', prefix]),
      ...(delimiter === undefined ? [] : ['DELIMITER', delimiter]),
      ...(after === undefined ? [] : ['AFTER', after]),
      ...['COUNT', limit],
    ];
    const parts = { name: 'BLOB.NAMES', args, isRepeatable: true, result: namesOf };
    return this.during(() => this.#command(parts, call));
  }

  protected async sendTransaction(changes: readonly Change[], call: CallOptions): Promise<TransactionResult> {
    if (changes.length === 0) return this.during(() => Promise.resolve({ ids: [] }));
    const args = changes.flatMap(argumentsOf);
    const bytes = movedBytes(changes);
    const { maxArguments, maxBulkBytes, maxRequestBytes } = this.link.limits;
    const counted = args.reduce((sum: number, argument) => sum + countedBytes(argument), 0);
    const isTooLong = args.some((each) => ArrayBuffer.isView(each) && each.length > maxBulkBytes);
    if (args.length >= maxArguments || isTooLong || counted > maxRequestBytes)
      throw new BedrockError(
        'TRANSACTION_TOO_LARGE',
        `a transaction of ${changes.length} changes and ${bytes} bytes does not go into one command, which has at most ${maxArguments} arguments and ${maxRequestBytes} bytes`,
        { details: { bytes, limit: maxRequestBytes } },
      );
    const parts = {
      ...{ name: 'BLOB.TRANSACT', args, keysTell: true, isRepeatable: false },
      ...{ cost: bytes, result: transactionOf },
    };
    return this.during(() => this.#command(parts, call));
  }

  async stats(call: CallOptions = {}): Promise<TargetStats> {
    const parts = { name: 'BLOB.STATS', isRepeatable: true, result: statsOf };
    return this.during(() => this.#command(parts, call));
  }
}

const PERSIST = 'PERSIST';

/** How a region with contents is created. */
interface Making extends UploadOptions {
  /** The command that takes all of the contents. */
  readonly whole: (bytes: Uint8Array) => Pick<CommandParts<RegionId>, 'name' | 'ref' | 'args'>;
}

function namedBy(name: string | undefined): (string | Key)[] {
  return name === undefined ? [] : ['NAME', new Key(name)];
}

/**
 * Arguments of up to this many bytes count against the maximum size of a command. The daemon
 * handles larger ones separately.
 */
const COUNTED_BYTES = 2 ** 15;
/** Upper bound of the bytes that an argument has besides its contents. */
const ARGUMENT_BYTES = 32;

function argumentsOf(change: Change): (Argument | Key)[] {
  switch (change.type) {
    case 'write':
      return ['WRITE', new Key(change.ref), change.offset, change.bytes];
    case 'put':
      return ['PUT', new Key(change.name), change.contents];
    case 'erase':
      return ['ERASE', new Key(change.ref)];
    case 'rename':
      return [
        change.replace === true ? 'REPLACE' : 'RENAME',
        new Key(change.ref),
        change.to === null ? '' : new Key(change.to),
      ];
    case 'expect':
      return ['EXPECT', new Key(change.name), change.id?.toString() ?? ''];
  }
}

/** Bytes of an argument that count against the maximum size of a command. */
function countedBytes(argument: Argument | Key): number {
  const bytes =
    argument instanceof Key
      ? MAX_NAME_BYTES
      : typeof argument === 'number'
        ? ARGUMENT_BYTES
        : Buffer.byteLength(argument);
  return ARGUMENT_BYTES + (bytes > COUNTED_BYTES ? 0 : bytes);
}

/** A piece of a stream, in flight. */
interface Piece {
  readonly read: ReadCommand;
  readonly bytes: Buffer;
}

/** An error of the caller's own source, unwrapped; other errors unchanged. */
function callersOwn(error: unknown): unknown {
  return error instanceof SourceFailure ? error.cause : error;
}
