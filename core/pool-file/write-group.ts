/**
 * Groups small writes: those of one turn of the event loop go to the thread pool together, as a job
 * and a promise for each would cost several times as much as the write. Each resolves when all of
 * them are written. If one fails, all fail; each should then be tried on its own.
 */
import { endOfTurn } from '../base/end-of-turn.js';
import type { FilePiece } from './file-operations.js';

/** Maximum size of a group; copying it must not block the event loop. */
const MAX_GROUP_BYTES = 2 ** 20;

/** A larger write is not worth a copy. */
export const MAX_GROUPED_WRITE_BYTES = 2 ** 14;

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

  /**
   * @param bytes at most MAX_GROUPED_WRITE_BYTES; the caller must not change them until the promise
   *   has settled
   */
  write(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#next === undefined || this.#next.bytes + bytes.length > MAX_GROUP_BYTES)
      this.#next = this.#begin();
    this.#next.pieces.push({ offset, bytes });
    this.#next.bytes += bytes.length;
    return this.#next.done;
  }

  #begin(): Group {
    const pieces: FilePiece[] = [];
    const done = endOfTurn().then(() => {
      // The group may be full already, and the next one a different one.
      if (this.#next?.pieces === pieces) this.#next = undefined;
      return this.#writeMany(pieces);
    });
    return { pieces, bytes: 0, done };
  }
}
