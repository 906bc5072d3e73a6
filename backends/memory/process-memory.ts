/**
 * The memory that all memory targets of the process hold together, and how much more is available.
 * So no region is promised for which the system would kill the process.
 *
 * The system provides memory when it is first written, and kills processes when there is none. So a
 * region counts in full from its creation, written or not, and some memory is reserved for the
 * process itself: its heap and the buffers of its doors.
 *
 * The available memory is read from time to time: again when an eighth of the room has been taken,
 * after a second, and before anything is refused. In between, the room is the last known one, less
 * what was taken since.
 */
import { MessageChannel } from 'node:worker_threads';
import type { MemoryLimit } from './control-groups.js';
import { MemoryLimits, type MemorySource } from './memory-limits.js';

/**
 * The reserve of the process under each limit, for everything except regions: an eighth, within
 * these bounds.
 */
const MIN_RESERVE_BYTES = 64 * 2 ** 20;
const MAX_RESERVE_BYTES = 512 * 2 ** 20;

/** How long a reading is valid. */
const MAX_AGE_MS = 1000;
/** Minimum interval between readings, even if something does not fit. */
const MIN_AGE_MS = 10;
/** May always be taken without a new reading, however little room there is. */
const MIN_UNSEEN_BYTES = 2 ** 20;

/** Smaller buffers are left to the garbage collector, if there is enough room to wait for it. */
const SMALLEST_DROPPED_BYTES = 2 ** 20;
const AMPLE_BYTES = 128 * 2 ** 20;

/** The room for regions at one moment. */
interface Room {
  readonly bytes: number;
  /** Memory of regions at that moment. */
  readonly heldBytes: number;
  readonly at: number;
  /** The limit that applies, and the reserve of the process under it. */
  readonly limit: MemoryLimit;
  readonly reserveBytes: number;
  /** Held by regions, but not written yet. */
  readonly untouchedBytes: number;
}

export class ProcessMemory {
  #heldBytes = 0;
  /** The part of it that was certainly not written. */
  #unwrittenBytes = 0;
  #room: Room | undefined;
  /** Resident memory of the process without regions. */
  #ownResidentBytes = 0;
  #ownKnownBytes = 0;

  constructor(private readonly source: MemorySource = new MemoryLimits()) {}

  /** Memory of the regions of all targets, including slabs. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Bytes that regions may still take. */
  get roomBytes(): number {
    return Math.max(0, this.#left(this.#recent()));
  }

  /** Whether this many more bytes leave the process enough. */
  hasRoomFor(bytes: number): boolean {
    const room = this.#recent();
    const unseen = this.#heldBytes + bytes - room.heldBytes;
    if (unseen <= Math.max(MIN_UNSEEN_BYTES, room.bytes / 8) && bytes <= this.#left(room)) return true;
    if (performance.now() - room.at < MIN_AGE_MS) return bytes <= this.#left(room);
    return bytes <= this.#left(this.#read());
  }

  /** Records bytes that were taken, or given back (negative). */
  note(bytes: number): void {
    this.#heldBytes += bytes;
  }

  /** Records a change of the held bytes that are certainly not written yet; negative if they become fewer. */
  noteUnwritten(bytes: number): void {
    this.#unwrittenBytes += bytes;
  }

  /** Records that a buffer is no longer used, and frees it, at least soon. */
  giveBack(bytes: Uint8Array): void {
    this.#heldBytes -= bytes.length;
    const isScarce = this.#room !== undefined && this.#left(this.#room) < AMPLE_BYTES;
    if (isScarce || bytes.length >= SMALLEST_DROPPED_BYTES) drop(bytes);
  }

  /** The limit that applies, for a message. */
  get bound(): string {
    const { limit, reserveBytes, untouchedBytes } = this.#recent();
    const promised = untouchedBytes > 0 ? `, ${untouchedBytes} are promised to regions` : '';
    return `${limit.name} allows ${limit.limitBytes} bytes, ${limit.usedBytes} are in use${promised} and ${reserveBytes} are kept for the process`;
  }

  #left({ bytes, heldBytes }: Room): number {
    return bytes - (this.#heldBytes - heldBytes);
  }

  #recent(): Room {
    const room = this.#room;
    return room !== undefined && performance.now() - room.at < MAX_AGE_MS ? room : this.#read();
  }

  #read(): Room {
    const untouchedBytes = this.#untouchedBytes();
    const rooms = this.source.limits().map((limit) => {
      const reserveBytes = reserveOf(limit);
      const promised = limit.countsUntouched === true ? 0 : untouchedBytes;
      const bytes = Math.floor(limit.limitBytes - limit.usedBytes - promised - reserveBytes);
      return { bytes, limit, reserveBytes, untouchedBytes: promised };
    });
    const least = rooms.reduce((one, other) => (other.bytes < one.bytes ? other : one));
    this.#room = { ...least, heldBytes: this.#heldBytes, at: performance.now() };
    return this.#room;
  }

  /**
   * An estimate of the memory that regions hold but have not written yet. It compares the resident
   * memory of the process with the resident memory that it had without regions and the growth of
   * its heap and other buffers. If that underestimates the regions, more counts as untouched, which
   * is safe. It overestimates if memory of freed buffers is kept for reuse, as malloc(3) does. So
   * the part that is certainly not written is the minimum.
   */
  #untouchedBytes(): number {
    const known = this.source.engineBytes() - this.#heldBytes;
    const resident = this.source.residentBytes();
    if (this.#room === undefined) {
      this.#ownResidentBytes = resident - this.#heldBytes;
      this.#ownKnownBytes = known;
    }
    const ofRegions = resident - this.#ownResidentBytes - (known - this.#ownKnownBytes);
    const untouched = this.#heldBytes - Math.min(this.#heldBytes, Math.max(0, ofRegions));
    return Math.max(untouched, this.#unwrittenBytes);
  }
}

function reserveOf({ limitBytes }: MemoryLimit): number {
  return Math.min(MAX_RESERVE_BYTES, Math.max(MIN_RESERVE_BYTES, Math.floor(limitBytes / 8)));
}

/** The instance of this process. */
export const processMemory = new ProcessMemory();

const { port1: nowhere, port2: other } = new MessageChannel();
other.close();

/**
 * Frees the memory of a buffer that is no longer used. The garbage collector would free it only
 * when the daemon is next busy. A buffer that is transferred to a port without a listener is freed
 * with the message.
 */
function drop({ buffer }: Uint8Array): void {
  nowhere.postMessage(null, [buffer as ArrayBuffer]);
}
