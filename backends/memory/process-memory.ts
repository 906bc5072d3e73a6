/**
 * The memory that all memory targets of the process hold together, and how much more there is: no region is promised what the system
 * would end the process for.
 *
 * The system gives memory when it is first written, and kills when there is none. So regions count in full from when they are made,
 * written or not, and something is left for the process itself: for its heap and the buffers of its doors.
 *
 * How much there is was found out a while ago: the files that tell it are read again when an eighth of the room was taken since,
 * after a second, and before anything is refused. In between the room is what it was then, less what was taken.
 */
import { MessageChannel } from 'node:worker_threads';
import type { MemoryLimit } from './control-groups.js';
import { MemoryLimits, type MemorySource } from './memory-limits.js';

/** What is left to the process of each limit, for what it takes beside regions: an eighth, within these bounds. */
const MIN_RESERVE_BYTES = 64 * 2 ** 20;
const MAX_RESERVE_BYTES = 512 * 2 ** 20;

/** How long what was read is good for. */
const MAX_AGE_MS = 1000;
/** Nor is it read more often than this because something does not fit. */
const MIN_AGE_MS = 10;
/** What may be taken without looking again, however little room there is. */
const MIN_UNSEEN_BYTES = 2 ** 20;

/** Smaller buffers are left to the garbage collector, where there is room enough for it to come later. */
const SMALLEST_DROPPED_BYTES = 2 ** 20;
const AMPLE_BYTES = 128 * 2 ** 20;

/** The room for regions as it was at a time. */
interface Room {
  readonly bytes: number;
  /** What regions held then. */
  readonly heldBytes: number;
  readonly at: number;
  /** What bounds it, and what of that is left to the process. */
  readonly limit: MemoryLimit;
  readonly reserveBytes: number;
  /** Held by regions, and not written yet. */
  readonly untouchedBytes: number;
}

export class ProcessMemory {
  #heldBytes = 0;
  /** Of that, what is known for certain not to be written. */
  #unwrittenBytes = 0;
  #room: Room | undefined;
  /** Of the process without regions. */
  #ownResidentBytes = 0;
  #ownKnownBytes = 0;

  constructor(private readonly source: MemorySource = new MemoryLimits()) {}

  /** What the regions of all targets hold, that of slabs included. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Bytes that regions may still take. */
  get roomBytes(): number {
    return Math.max(0, this.#left(this.#recent()));
  }

  /** Whether so many more bytes leave the process enough. */
  hasRoomFor(bytes: number): boolean {
    const room = this.#recent();
    const unseen = this.#heldBytes + bytes - room.heldBytes;
    if (unseen <= Math.max(MIN_UNSEEN_BYTES, room.bytes / 8) && bytes <= this.#left(room)) return true;
    if (performance.now() - room.at < MIN_AGE_MS) return bytes <= this.#left(room);
    return bytes <= this.#left(this.#read());
  }

  /** Notes that so many bytes were taken, or given back (negative). */
  note(bytes: number): void {
    this.#heldBytes += bytes;
  }

  /** Notes that so many bytes more of what is held are certainly not written yet, or fewer (negative). */
  noteUnwritten(bytes: number): void {
    this.#unwrittenBytes += bytes;
  }

  /** Notes that a buffer is not used any more, and frees it, soon at least. */
  giveBack(bytes: Uint8Array): void {
    this.#heldBytes -= bytes.length;
    const isScarce = this.#room !== undefined && this.#left(this.#room) < AMPLE_BYTES;
    if (isScarce || bytes.length >= SMALLEST_DROPPED_BYTES) drop(bytes);
  }

  /** What bounds the room, for a message. */
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
   * What regions hold and nobody has written yet, by what the process has resident beyond what it had without regions and what its heap
   * and other buffers have grown by. Where that says too little of regions, more counts as untouched, which is the safe side. It says too much
   * where memory of buffers that are gone is kept for others, as malloc(3) does; so what is certainly not written counts at least.
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

/** Of this process. */
export const processMemory = new ProcessMemory();

const { port1: nowhere, port2: other } = new MessageChannel();
other.close();

/**
 * Frees the memory of a buffer that nobody uses any more. The garbage collector would get to it when the daemon is next busy; a
 * buffer that is transferred to a port which nobody listens at is freed with the message.
 */
function drop({ buffer }: Uint8Array): void {
  nowhere.postMessage(null, [buffer as ArrayBuffer]);
}
