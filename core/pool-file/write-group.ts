/**
 * Groups small writes: those of one turn of the event loop go to the thread pool together, as a job and a promise for each would cost
 * several times what the write does. Each resolves when all of them are written; if one fails, all do, and each is
 * better tried by itself then.
 */
import type { FilePiece } from './file-operations.js';

/** Of a group; copying them must not hold up the event loop. */
const MAX_GROUP_BYTES = 2 ** 20;

/** A write of more is not worth a copy. */
export const MAX_PIECE_BYTES = 2 ** 14;

interface Group {
  readonly pieces: FilePiece[];
  bytes: number;
  readonly done: Promise<void>;
}

export class WriteGroup {
  readonly #writeMany: (pieces: readonly FilePiece[]) => Promise<void>;
  #next: Group | undefined;

  constructor(writeMany: (pieces: readonly FilePiece[]) => Promise<void>) {
    this.#writeMany = writeMany;
  }

  /** @param bytes at most MAX_PIECE_BYTES; the caller leaves them as they are until the promise has ended */
  write(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#next === undefined || this.#next.bytes + bytes.length > MAX_GROUP_BYTES)
      this.#next = this.#begin();
    this.#next.pieces.push({ offset, bytes });
    this.#next.bytes += bytes.length;
    return this.#next.done;
  }

  #begin(): Group {
    const pieces: FilePiece[] = [];
    const done = Promise.resolve().then(() => {
      // The group may be full already, and another one the next.
      if (this.#next?.pieces === pieces) this.#next = undefined;
      return this.#writeMany(pieces);
    });
    return { pieces, bytes: 0, done };
  }
}
