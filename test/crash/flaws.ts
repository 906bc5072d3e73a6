/**
 * Implementations with one mistake each, of the kind that no ordinary test notices: an order that
 * does not hold, a barrier that is missing. The real code does everything else. The power-failure
 * tests must find each of them.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { FileMedium } from '../../backends/file/file-medium.js';
import type { MediumRange, PoolMedium, TargetMode } from '../../core/index.js';
import {
  DESCRIPTOR_BYTES,
  DescriptorFields,
  decodeDescriptor,
  encodeDescriptor,
  wordZero,
} from '../../core/pool/descriptor.js';
import { HEADER_BYTES, HEADERS_BYTES, type PoolId } from '../../core/pool/extent.js';
import { decodeHeader, hasNames, type PoolHeader } from '../../core/pool/header.js';
import { decodeRecord, RECORD_AT } from '../../core/pool/journal-record.js';
import { NamedSlots } from '../../core/pool/named-slots.js';
import { decodeRecordHead, RECORD_HEAD_BYTES, type RecordEntry } from '../../core/pool/record-parts.js';
import { RegionPool } from '../../core/pool/region-pool.js';
import type { Eventually } from '../../core/targets/lifecycle.js';
import type { SequenceTitle } from './sequences.js';
import type { Flaw, Mode } from './simulated-pool.js';

export interface FlawedImplementation {
  readonly title: string;
  /** Where the mistake can be made. */
  readonly modes: readonly Mode[];
  /** The sequence that meets it; the real code passes the same one. */
  readonly sequence: SequenceTitle;
  readonly flaw: Flaw;
}

/** A medium that does all that another one does. */
export class Delegate implements PoolMedium {
  constructor(protected readonly real: PoolMedium) {}

  get mode(): TargetMode {
    return this.real.mode;
  }
  get size(): number {
    return this.real.size;
  }
  read(offset: number, into: Uint8Array): Eventually<void> {
    return this.real.read(offset, into);
  }
  write(offset: number, bytes: Uint8Array): Eventually<void> {
    return this.real.write(offset, bytes);
  }
  stage(offset: number, bytes: Uint8Array): Eventually<void> {
    return this.real.stage(offset, bytes);
  }
  stageWord(offset: number, word: bigint): Eventually<void> {
    return this.real.stageWord(offset, word);
  }
  get publishesInOrder(): boolean {
    return this.real.publishesInOrder === true;
  }
  writeDurably(offset: number, bytes: Uint8Array): Eventually<void> {
    return this.real.writeDurably(offset, bytes);
  }
  persist(ranges: readonly MediumRange[]): Eventually<void> {
    return this.real.persist(ranges);
  }
  barrier(): Eventually<void> {
    return this.real.barrier();
  }
  publish(offset: number, descriptor: Uint8Array): Eventually<void> {
    return this.real.publish(offset, descriptor);
  }
  publishWord(offset: number, word: bigint): Eventually<void> {
    return this.real.publishWord(offset, word);
  }
  clear(offset: number, length: number): Eventually<void> {
    return this.real.clear(offset, length);
  }
  allocate(offset: number, length: number): Eventually<void> {
    return this.real.allocate(offset, length);
  }
  grow(offset: number, length: number): Eventually<void> {
    return this.real.grow(offset, length);
  }
  map(offset: number, length: number): Uint8Array[] {
    return this.real.map?.(offset, length) ?? [];
  }
  close(): Eventually<void> {
    return this.real.close();
  }
}

function around(make: (real: PoolMedium) => PoolMedium): Flaw {
  return { medium: make };
}

function bytesOf(word: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(word);
  return bytes;
}

/** Joins a datasync that was begun before the caller's stores. */
class EarlyFileMedium extends FileMedium {
  #running: Promise<void> | undefined;

  override barrier(): Promise<void> {
    return (this.#running ??= super.barrier().finally(() => (this.#running = undefined)));
  }
}

/** The erase is acknowledged when it is durable, but slot and extent are given away before. */
function releasingEarly(): Flaw {
  const late: (() => Eventually<void>)[] = [];
  return {
    medium: (real) => {
      late.length = 0;
      return new (class extends Delegate {
        override publishWord(offset: number, word: bigint): undefined {
          late.push(() => this.real.publishWord(offset, word));
          return undefined;
        }
      })(real);
    },
    target: (target) => {
      const erase = target.erase.bind(target);
      target.erase = async (id) => {
        await erase(id);
        await turn();
        await turn();
        for (const store of late.splice(0)) await store();
      };
    },
  };
}

/** Stores staged words only behind the next step of one kind. */
class LateWords extends Delegate {
  readonly #late: [number, bigint][] = [];

  constructor(
    real: PoolMedium,
    private readonly after: 'publishWord' | 'barrier',
  ) {
    super(real);
  }

  override stageWord(offset: number, word: bigint): undefined {
    this.#late.push([offset, word]);
    return undefined;
  }

  override publishWord(offset: number, word: bigint): Eventually<void> {
    const published = this.real.publishWord(offset, word);
    return this.after === 'publishWord' ? this.#store(published) : published;
  }

  override barrier(): Eventually<void> {
    const passed = this.real.barrier();
    return this.after === 'barrier' ? this.#store(passed) : passed;
  }

  async #store(before: Eventually<void>): Promise<void> {
    await before;
    for (const [at, late] of this.#late.splice(0))
      await (this.after === 'barrier' ? this.real.stageWord(at, late) : this.real.publishWord(at, late));
  }
}

/**
 * On persistent memory the fence behind a descriptor's body waits for all copies before it, so that
 * some mistakes are none there.
 */
const ON_DISK: readonly Mode[] = ['file', 'msync'];
const ALL: readonly Mode[] = ['file', 'msync', 'pmem'];

/**
 * Knows the pool id and the journal's areas of the pool that it is the medium of, and what is
 * stored there.
 */
class JournalDelegate extends Delegate {
  #header: PoolHeader | undefined;

  #note(offset: number, bytes: Uint8Array): void {
    if (offset !== 0 || bytes.length !== HEADER_BYTES) return;
    const decoded = decodeHeader(bytes);
    if ('header' in decoded) this.#header = decoded.header;
  }

  override async read(offset: number, into: Uint8Array): Promise<void> {
    await this.real.read(offset, into);
    this.#note(offset, into);
  }

  override writeDurably(offset: number, bytes: Uint8Array): Eventually<void> {
    this.#note(offset, bytes);
    return this.real.writeDurably(offset, bytes);
  }

  /** The area that a record is stored into, if that is what is stored. */
  protected areaOf(offset: number): number | undefined {
    const area = offset - RECORD_AT;
    return this.#header?.journal?.offsets.includes(area) === true ? area : undefined;
  }

  protected isDone(offset: number): boolean {
    return this.#header?.journal?.offsets.includes(offset) === true;
  }

  protected entriesOf(record: Uint8Array): readonly RecordEntry[] {
    return decodeRecord(Buffer.from(record), this.#header as PoolHeader) ?? [];
  }

  protected get pool(): PoolHeader {
    return this.#header as PoolHeader;
  }
}

/** What a descriptor on its way says. */
function fieldsOf(descriptor: Uint8Array, pool: PoolId, slot: number): DescriptorFields {
  const fields = new DescriptorFields();
  decodeDescriptor(descriptor, 0, slot, pool, fields);
  return fields;
}

export const FLAWS: readonly FlawedImplementation[] = [
  {
    title: 'a descriptor is published before its body is flushed',
    sequence: 'the first region, for which freshFrom is raised',
    modes: ['pmem'],
    flaw: around(
      (real) =>
        new (class extends Delegate {
          override publish(offset: number, descriptor: Uint8Array): Eventually<void> {
            return this.real.writeDurably(offset, descriptor);
          }
        })(real),
    ),
  },
  {
    title: 'a flush is missing on erase',
    sequence: 'a region, its end, and another one in slot and space',
    modes: ['pmem', 'msync'],
    flaw: around(
      (real) =>
        new (class extends Delegate {
          override publishWord(offset: number, word: bigint): Eventually<void> {
            return this.real.write(offset, bytesOf(word));
          }
        })(real),
    ),
  },
  {
    title: 'a slot is reused without a new generation',
    sequence: 'a region, its end, and another one in slot and space',
    modes: ALL,
    flaw: around(
      (real) =>
        new (class extends Delegate {
          #pool: PoolId = { poolLow: 0, poolHigh: 0 };
          /** By slot. */
          readonly #first = new Map<number, number>();
          override async read(offset: number, into: Uint8Array): Promise<void> {
            await this.real.read(offset, into);
            const decoded = offset === 0 ? decodeHeader(into) : undefined;
            if (decoded !== undefined && 'header' in decoded) this.#pool = decoded.header;
          }
          override publish(offset: number, descriptor: Uint8Array): Eventually<void> {
            const view = new DataView(descriptor.buffer, descriptor.byteOffset);
            const [place, size, createdAt] = [8, 16, 24].map((at) => Number(view.getBigUint64(at, true)));
            const slot = (offset - HEADERS_BYTES) / DESCRIPTOR_BYTES;
            const first = this.#first.get(slot) ?? view.getUint32(4, true) >>> 1;
            this.#first.set(slot, first);
            encodeDescriptor(descriptor, 0, slot, this.#pool, first, place ?? 0, size ?? 0, createdAt ?? 0);
            return this.real.publish(offset, descriptor);
          }
        })(real),
    ),
  },
  {
    title: 'group commit acknowledges early: a waiter joins a datasync that has begun already',
    sequence: 'many at once, who share their barriers',
    modes: ['file'],
    flaw: { file: (options) => new EarlyFileMedium(options) },
  },
  {
    title: 'both header copies are rewritten at once',
    sequence: 'another chunk in a directory that is longer than a sector',
    modes: ALL,
    flaw: around(
      (real) =>
        new (class extends Delegate {
          override writeDurably(offset: number, bytes: Uint8Array): Eventually<void> {
            if (offset === 0) return this.real.write(offset, bytes);
            return this.real.writeDurably(offset, bytes);
          }
        })(real),
    ),
  },
  {
    title: 'the header is rewritten in place, and the second copy left as it was',
    sequence: 'another chunk, and growth',
    modes: ['pmem'],
    flaw: around(
      (real) =>
        new (class extends Delegate {
          override writeDurably(offset: number, bytes: Uint8Array): Eventually<void> {
            if (offset === HEADER_BYTES) return undefined;
            return this.real.writeDurably(offset, bytes);
          }
        })(real),
    ),
  },
  {
    title: 'freshFrom is raised in memory only',
    sequence: 'the first region, for which freshFrom is raised',
    modes: ALL,
    flaw: around(
      (real) =>
        new (class extends Delegate {
          #chunks = -1;
          override async writeDurably(offset: number, bytes: Uint8Array): Promise<void> {
            if (offset <= HEADER_BYTES && bytes.length === HEADER_BYTES) {
              const decoded = decodeHeader(bytes);
              const chunks = 'header' in decoded ? decoded.header.chunks.length : 0;
              if (this.#chunks < 0 || this.#chunks === chunks) {
                this.#chunks = chunks;
                return;
              }
            }
            await this.real.writeDurably(offset, bytes);
          }
        })(real),
    ),
  },
  {
    title: 'slot and extent are given away before the end of their region is durable',
    sequence: 'an erase beside creations',
    modes: ALL,
    flaw: releasingEarly(),
  },
  {
    title: 'a region with contents is published before they are durable',
    sequence: 'the first region, for which freshFrom is raised',
    modes: ON_DISK,
    flaw: around(
      (real) =>
        new (class extends Delegate {
          #isOpen = false;
          readonly #late: MediumRange[] = [];
          override persist(ranges: readonly MediumRange[]): Eventually<void> {
            if (!this.#isOpen || ranges.length !== 1) {
              this.#isOpen = true;
              return this.real.persist(ranges);
            }
            this.#late.push(...ranges);
            return undefined;
          }
          override async publish(offset: number, descriptor: Uint8Array): Promise<void> {
            await this.real.publish(offset, descriptor);
            await this.real.persist(this.#late.splice(0));
          }
        })(real),
    ),
  },
  {
    title: 'recovery serves without its final barrier',
    sequence: 'a region, its end, and another one in slot and space',
    modes: ALL,
    flaw: around(
      (real) =>
        new (class extends Delegate {
          override persist(ranges: readonly MediumRange[]): Eventually<void> {
            const [first] = ranges;
            const isRecovery = ranges.length > 1 && first?.offset === 0 && first.size === HEADERS_BYTES;
            return isRecovery ? undefined : this.real.persist(ranges);
          }
        })(real),
    ),
  },
  {
    title: 'headers are mended without a barrier before',
    sequence: 'the first region, for which freshFrom is raised',
    // On a disk this header is one sector.
    modes: ['pmem'],
    flaw: around(
      (real) =>
        new (class extends Delegate {
          override persist(ranges: readonly MediumRange[]): Eventually<void> {
            const [first] = ranges;
            const isMending = ranges.length === 1 && first?.offset === 0;
            return isMending ? undefined : this.real.persist(ranges);
          }
        })(real),
    ),
  },
  {
    title: 'a chunk is named before it is formatted durably',
    sequence: 'another chunk of slots',
    modes: ALL,
    flaw: around(
      (real) =>
        new (class extends Delegate {
          override writeDurably(offset: number, bytes: Uint8Array): Eventually<void> {
            if (offset > HEADER_BYTES) return this.real.write(offset, bytes);
            return this.real.writeDurably(offset, bytes);
          }
        })(real),
    ),
  },
  {
    title: 'freed space is cleared without a barrier',
    sequence: 'a region, its end, and another one in slot and space',
    modes: ON_DISK,
    flaw: around(
      (real) =>
        new (class extends Delegate {
          override clear(offset: number, length: number): Eventually<void> {
            return this.real.write(offset, new Uint8Array(length));
          }
        })(real),
    ),
  },
  {
    title: 'freed space is not cleared',
    sequence: 'creations that break off',
    modes: ALL,
    flaw: around(
      (real) =>
        new (class extends Delegate {
          override clear(): undefined {
            return undefined;
          }
        })(real),
    ),
  },
  {
    title: 'a region with a name is published before contents and name are durable',
    sequence: 'a put, and others in its place',
    modes: ALL,
    flaw: around(
      (real) =>
        new (class extends Delegate {
          readonly #late: [number, Uint8Array][] = [];
          override get publishesInOrder(): boolean {
            return true;
          }
          override write(offset: number, bytes: Uint8Array): undefined {
            this.#late.push([offset, bytes.slice()]);
            return undefined;
          }
          override stage(offset: number, bytes: Uint8Array): undefined {
            return this.write(offset, bytes);
          }
          override persist(ranges: readonly MediumRange[]): Eventually<void> {
            return ranges.length === 1 ? undefined : this.real.persist(ranges);
          }
          override async barrier(): Promise<void> {
            for (const [offset, bytes] of this.#late.splice(0)) await this.real.stage(offset, bytes);
            await this.real.barrier();
          }
          override async publish(offset: number, descriptor: Uint8Array): Promise<void> {
            await this.real.publish(offset, descriptor);
            await this.barrier();
          }
        })(real),
    ),
  },
  {
    title: 'a replaced region is ended before the new one is durable',
    sequence: 'a put, and others in its place',
    modes: ALL,
    flaw: around(
      (real) =>
        new (class extends JournalDelegate {
          /** By the checksum of its name, where the descriptor is that has it. */
          readonly #holders = new Map<number, { offset: number; generation: number }>();
          override async publish(offset: number, descriptor: Uint8Array): Promise<void> {
            const slot = (offset - HEADERS_BYTES) / DESCRIPTOR_BYTES;
            const { nameChecksum, nameLength, generation } = fieldsOf(descriptor, this.pool, slot);
            const before = this.#holders.get(nameChecksum);
            if (nameLength > 0) {
              if (before !== undefined) await this.real.publishWord(before.offset, this.#endOf(before));
              this.#holders.set(nameChecksum, { offset, generation });
            }
            await this.real.publish(offset, descriptor);
          }
          #endOf({ offset, generation }: { offset: number; generation: number }): bigint {
            const slot = (offset - HEADERS_BYTES) / DESCRIPTOR_BYTES;
            return wordZero(new Uint8Array(0), 0, slot, this.pool, generation, false);
          }
        })(real),
    ),
  },
  {
    title: 'a name is erased before the end of what its holder has replaced is durable',
    sequence: 'puts, and the end of their name',
    modes: ALL,
    flaw: around((real) => new LateWords(real, 'publishWord')),
  },
  {
    title: 'the space of a replaced region is given away before its end is durable',
    sequence: 'a put, and others in its place',
    modes: ON_DISK,
    flaw: around((real) => new LateWords(real, 'barrier')),
  },
  {
    title: 'recovery keeps both regions of a name',
    sequence: 'a put, and others in its place',
    modes: ALL,
    flaw: {
      begin: () => {
        const real = Object.getOwnPropertyDescriptor(RegionPool.prototype, 'endReplaced') ?? {};
        RegionPool.prototype.endReplaced = () => Promise.resolve();
        return () => Object.defineProperty(RegionPool.prototype, 'endReplaced', real);
      },
    },
  },
  {
    title: 'recovery keeps the region with the lower order',
    sequence: 'a put, and others in its place',
    modes: ALL,
    flaw: {
      begin: () => {
        const real = Object.getOwnPropertyDescriptor(NamedSlots.prototype, 'orderAt') ?? {};
        const orderAt = real.value as (this: NamedSlots, index: number) => number;
        NamedSlots.prototype.orderAt = function (index) {
          return -orderAt.call(this, index);
        };
        return () => Object.defineProperty(NamedSlots.prototype, 'orderAt', real);
      },
    },
  },
  {
    title: 'a change is applied before its record is committed',
    sequence: 'a transaction',
    modes: ALL,
    flaw: around(
      (real) =>
        new (class extends JournalDelegate {
          override async stage(offset: number, bytes: Uint8Array): Promise<void> {
            if (this.areaOf(offset) !== undefined) {
              for (const entry of this.entriesOf(bytes)) await this.real.stage(entry.offset, entry.bytes);
              await this.real.barrier();
            }
            await this.real.stage(offset, bytes);
          }
        })(real),
    ),
  },
  {
    title: 'a record is void before its change is applied',
    sequence: 'a transaction',
    modes: ALL,
    flaw: around(
      (real) =>
        new (class extends JournalDelegate {
          #committing: { area: number; sequence: number } | undefined;
          override async stage(offset: number, bytes: Uint8Array): Promise<void> {
            const area = this.areaOf(offset);
            if (area !== undefined)
              this.#committing = { area, sequence: decodeRecordHead(Buffer.from(bytes)).sequence };
            await this.real.stage(offset, bytes);
          }
          override async barrier(): Promise<void> {
            await this.real.barrier();
            const committed = this.#committing;
            this.#committing = undefined;
            if (committed !== undefined)
              await this.real.publishWord(committed.area, BigInt(committed.sequence));
          }
        })(real),
    ),
  },
  {
    title: 'recovery does not replay the journal',
    sequence: 'a transaction',
    modes: ALL,
    flaw: around(
      (real) =>
        new (class extends Delegate {
          override async read(offset: number, into: Uint8Array): Promise<void> {
            await this.real.read(offset, into);
            if (into.length === RECORD_AT + RECORD_HEAD_BYTES) into.fill(0, RECORD_AT);
          }
        })(real),
    ),
  },
  {
    title: 'the end of a record is not made durable',
    sequence: 'what comes after a transaction, over the same bytes',
    modes: ['pmem', 'msync'],
    flaw: around(
      (real) =>
        new (class extends JournalDelegate {
          override publishWord(offset: number, word: bigint): Eventually<void> {
            if (!this.isDone(offset)) return this.real.publishWord(offset, word);
            // Not flushed, as by an ordinary store.
            void word;
            return undefined;
          }
        })(real),
    ),
  },
  {
    title: 'the feature bit of names is set after the first name',
    sequence: 'the first name',
    modes: ALL,
    flaw: around(
      (real) =>
        new (class extends Delegate {
          readonly #late: [number, Uint8Array][] = [];
          override async writeDurably(offset: number, bytes: Uint8Array): Promise<void> {
            const decoded = offset <= HEADER_BYTES ? decodeHeader(bytes) : undefined;
            if (decoded !== undefined && 'header' in decoded && hasNames(decoded.header))
              this.#late.push([offset, bytes.slice()]);
            else await this.real.writeDurably(offset, bytes);
          }
          override async publish(offset: number, descriptor: Uint8Array): Promise<void> {
            await this.real.publish(offset, descriptor);
            for (const [at, bytes] of this.#late.splice(0)) await this.real.writeDurably(at, bytes);
          }
        })(real),
    ),
  },
];
