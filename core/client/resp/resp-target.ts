/**
 * A target of another daemon, over the Redis protocol.
 *
 * A small read or write is one command. A large one is sent in pieces, several in flight at once.
 * Its bounds are first compared with the region's size, so that nothing is written if the whole
 * does not fit. Many ranges share a command.
 */
import {
  type Change,
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
import type { CheckedNames } from '../../targets/name-arguments.js';
import { BaseRemoteTarget } from '../remote/base-remote-target.js';
import { ofTheWhole } from '../remote/call-options.js';
import type { RemoteTargetDescription, RemoteTargetKey } from '../remote/remote-calls.js';
import { callersOwn, type SourceBounds } from '../remote/source.js';
import { batchesOf, bytesOf, fitInOne, groupsOf } from './batches.js';
import type { Argument } from './command.js';
import type { Link } from './link.js';
import { moveBytes, type MovePiece, moveSource, pieceBytesOf } from './pieces.js';
import { readAhead } from './read-ahead.js';
import { type Making, RegionMaker } from './region-making.js';
import {
  type CommandParts,
  Key,
  ReadCommand,
  type DaemonCommand,
  TargetName,
  WriteCommand,
} from './daemon-command.js';
import { fills, idOf, isOk, namesOf, pageOf, statOf, statsOf } from './region-replies.js';
import { transactionCommand } from './transaction-command.js';

export class RespTarget extends BaseRemoteTarget {
  readonly #name: TargetName;
  readonly #maker: RegionMaker;

  constructor(
    private readonly link: Link,
    { provider, index }: RemoteTargetKey,
    description: RemoteTargetDescription,
  ) {
    super(description, link.work);
    this.#name = new TargetName(provider, index);
    this.#maker = new RegionMaker(link, this.#name);
  }

  /** Maximum size of a piece of a transfer. */
  get #pieceBytes(): number {
    return pieceBytesOf(this.link.limits);
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
    return this.during(() => this.#maker.make(contents, making, call));
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
    return this.during(() => this.#maker.make(contents, making, call));
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
        await move(write, { signal: whole.signal, where: this.link.url });
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

  protected async *stream(ref: RegionRef, range: RegionRange, call: CallOptions): AsyncGenerator<Uint8Array> {
    const whole = ofTheWhole(call);
    this.beginWork();
    try {
      const { id, size } = await this.#stat(ref, whole);
      checkRange('read', range.offset, range.size, size);
      yield* readAhead(this.link, this.#name, id, range, whole);
    } finally {
      this.endWork();
    }
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
    const parts = transactionCommand(changes, this.link.limits);
    return this.during(() => this.#command(parts, call));
  }

  async stats(call: CallOptions = {}): Promise<TargetStats> {
    const parts = { name: 'BLOB.STATS', isRepeatable: true, result: statsOf };
    return this.during(() => this.#command(parts, call));
  }
}

const PERSIST = 'PERSIST';

function namedBy(name: string | undefined): (string | Key)[] {
  return name === undefined ? [] : ['NAME', new Key(name)];
}
