/**
 * The regions that arrive at one target in a session of a migration. Every piece tells what its
 * region is at the source, and may be sent again. A region that does not exist is created; an
 * existing one is written to and gets the name.
 */
import { BedrockError, RegionId, type Target } from '../../../core/index.js';
import { RegionUpload } from './region-upload.js';
import { sumOf } from './region-sum.js';
import type { Piece, PieceResult } from './wire.js';

const ERASED = new BedrockError('REGION_NOT_FOUND', 'the region was erased at the source');
const SENT_ANEW = new BedrockError('REGION_NOT_FOUND', 'the region is sent again');
const SESSION_OVER = new BedrockError('CONFLICT', 'the session of this migration is over; begin again');

export class Arrivals {
  readonly #uploads = new Map<string, RegionUpload>();
  /** Changes of names, one after another: two of them could undo each other. */
  #naming: Promise<unknown> = Promise.resolve();

  constructor(private readonly target: Target) {}

  /** @returns the sum of the part as it is stored; a fault of this piece is reported in its result */
  async take(piece: Piece, bytes: Uint8Array): Promise<PieceResult> {
    try {
      return { sum: await this.#take(piece, RegionId.parse(piece.id), bytes) };
    } catch (error) {
      if (!(error instanceof BedrockError) || !TOLD.has(error.code)) throw error;
      return { failed: error.code, message: error.message };
    }
  }

  async #take(piece: Piece, id: RegionId, bytes: Uint8Array): Promise<string> {
    const { size, offset, length, first = false } = piece;
    if (first) await this.#drop(piece.id, SENT_ANEW);
    const upload = this.#uploads.get(piece.id);
    if (upload !== undefined) await this.#goOn(piece, id, upload, bytes);
    else if (await this.#isThere(piece, id)) {
      if (length > 0) await this.target.write(id, offset, bytes, { persist: true });
      await this.#name(id, piece.name);
    } else if (offset === 0 && length === size) await this.#importWhole(piece, id, bytes);
    else if (first) await this.#goOn(piece, id, this.#begin(piece, id), bytes);
    else
      throw new BedrockError(
        'REGION_NOT_FOUND',
        `region ${piece.id} has not arrived; send it from its start`,
      );
    // A region that has not arrived completely cannot be read yet.
    return this.#uploads.has(piece.id) ? '' : sumOf(this.target, id, offset, length);
  }

  /** @throws CONFLICT if it is another region */
  async #isThere({ size, createdAt }: Piece, id: RegionId): Promise<boolean> {
    try {
      const there = await this.target.stat(id);
      if (there.size === size && there.createdAt === createdAt) return true;
    } catch (error) {
      if (error instanceof BedrockError && error.code === 'REGION_NOT_FOUND') return false;
      throw error;
    }
    throw new BedrockError('CONFLICT', `region ${id.toString()} has another size or time of creation here`);
  }

  async #drop(id: string, error: BedrockError): Promise<void> {
    const upload = this.#uploads.get(id);
    this.#uploads.delete(id);
    await upload?.fail(error);
  }

  #begin({ size, createdAt }: Piece, id: RegionId): RegionUpload {
    const upload = new RegionUpload(this.target, id, size, { createdAt });
    this.#uploads.set(id.toString(), upload);
    return upload;
  }

  async #goOn(piece: Piece, id: RegionId, upload: RegionUpload, bytes: Uint8Array): Promise<void> {
    try {
      await upload.give(piece.offset, bytes);
    } catch (error) {
      if (error instanceof BedrockError && error.code === 'CONFLICT') throw error;
      this.#uploads.delete(piece.id);
      throw error;
    }
    if (upload.received < upload.size) return;
    this.#uploads.delete(piece.id);
    await this.#name(id, piece.name);
  }

  async #importWhole({ name, createdAt }: Piece, id: RegionId, bytes: Uint8Array): Promise<void> {
    try {
      await this.target.importRegion(id, bytes, { createdAt, ...(name !== null && { name }) });
    } catch (error) {
      if (!(error instanceof BedrockError) || error.code !== 'NAME_TAKEN') throw error;
      // By now, the region that has the name here has another one at the source, or is gone. That
      // will be sent later.
      await this.target.importRegion(id, bytes, { createdAt });
      await this.#name(id, name);
    }
  }

  /** Gives a region its name, and takes the name from another region if necessary. */
  #name(id: RegionId, name: string | null): Promise<void> {
    if (!this.target.capabilities.named) {
      if (name === null) return Promise.resolve();
      throw new BedrockError(
        'NOT_SUPPORTED',
        `a ${this.target.type} target has no names, and a region has one`,
      );
    }
    const named = this.#naming.then(() => this.#nameNow(id, name));
    this.#naming = named.catch(() => undefined);
    return named;
  }

  async #nameNow(id: RegionId, name: string | null): Promise<void> {
    const { target } = this;
    for (;;) {
      try {
        // Does nothing if it has the name already.
        return await target.rename(id, name);
      } catch (error) {
        if (!(error instanceof BedrockError) || error.code !== 'NAME_TAKEN' || name === null) throw error;
      }
      try {
        await target.rename(name, null);
      } catch (error) {
        // Erased meanwhile.
        if (!(error instanceof BedrockError) || error.code !== 'REGION_NOT_FOUND') throw error;
      }
    }
  }

  /** Erases regions, and makes sure that these IDs are never used again. */
  async erase(ids: readonly string[]): Promise<void> {
    const gone = ids.map((id) => RegionId.parse(id));
    // An earlier ID of a slot goes before a later one.
    gone.sort((one, other) => one.generation - other.generation);
    for (const id of gone) {
      await this.#drop(id.toString(), ERASED);
      try {
        await this.target.erase(id);
      } catch (error) {
        if (!(error instanceof BedrockError) || error.code !== 'REGION_NOT_FOUND') throw error;
      }
    }
    await this.target.importErased(gone);
  }

  /** Drops regions that have not arrived completely. */
  async end(): Promise<void> {
    const uploads = [...this.#uploads.values()];
    this.#uploads.clear();
    await Promise.all(uploads.map((upload) => upload.fail(SESSION_OVER)));
    await this.#naming;
  }
}

/** Errors that concern one piece. All others end the request. */
const TOLD: ReadonlySet<string> = new Set(['ID_TAKEN', 'REGION_NOT_FOUND', 'CONFLICT']);
