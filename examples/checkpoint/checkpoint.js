/**
 * A checkpoint under a name: the state of a program, replaced as a whole. There is no side file with an ID, no temporary name and no
 * rename: `put` makes the new state durable, and only then does the name mean it. After a crash the name means the old state or the new
 * one, whole.
 *
 * A checkpoint begins with a header of 16 bytes, little-endian: magic (4), version (4), step (8). The state follows.
 */
import { BedrockError } from 'bedrock-node';

/** @import { Target } from 'bedrock-node' */
/** @typedef {{ step: number, state: Uint8Array }} Saved */

const MAGIC = 0x54_50_4b_43; // "CKPT"
const VERSION = 1;
const HEADER_BYTES = 16;

export class Checkpoint {
  #target;
  #name;

  /** @param {Target} target a `named` one, local or of another daemon @param {string} name */
  constructor(target, name) {
    this.#target = target;
    this.#name = name;
  }

  /**
   * Replaces the checkpoint; durable when this resolves, if the target is persistent.
   * @param {Saved} saved
   */
  async save({ step, state }) {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32LE(MAGIC, 0);
    header.writeUInt32LE(VERSION, 4);
    header.writeBigUInt64LE(BigInt(step), 8);
    // In two pieces, so that the state is not copied.
    await this.#target.put(this.#name, { size: HEADER_BYTES + state.length, source: [header, state] });
  }

  /**
   * The last checkpoint that was saved, or undefined if there was none.
   * @returns {Promise<Saved | undefined>}
   */
  async load() {
    for (;;) {
      try {
        // By its ID, so that header and state are of one checkpoint even if another one is saved meanwhile.
        const { id, size } = await this.#target.find(this.#name);
        const header = Buffer.from(await this.#target.read(id, 0, Math.min(size, HEADER_BYTES)));
        if (size < HEADER_BYTES || header.readUInt32LE(0) !== MAGIC)
          throw new Error(`"${this.#name}" is no checkpoint`);
        if (header.readUInt32LE(4) !== VERSION)
          throw new Error(
            `"${this.#name}" has version ${header.readUInt32LE(4)}, and this program knows ${VERSION}`,
          );
        const state = await this.#target.read(id, HEADER_BYTES, size - HEADER_BYTES);
        return { step: Number(header.readBigUInt64LE(8)), state };
      } catch (error) {
        if (!(error instanceof BedrockError) || error.code !== 'REGION_NOT_FOUND') throw error;
        // It was replaced between find and read, or there is none.
        if (!(await this.#exists())) return undefined;
      }
    }
  }

  async #exists() {
    try {
      await this.#target.find(this.#name);
      return true;
    } catch (error) {
      if (error instanceof BedrockError && error.code === 'REGION_NOT_FOUND') return false;
      throw error;
    }
  }
}
