/**
 * Blocks of regions, in the order of their last use, as regions of another target. The least recently used go when there is no room.
 *
 * A block is a region of its own, so the contract of targets does what a cache must be careful about: whoever reads a block while it
 * is dropped gets its bytes, and whoever comes later gets REGION_NOT_FOUND, which is a miss; never another block's bytes.
 */
import { BedrockError, messageOf } from 'bedrock-node';

/** @import { Logger, RegionId, Target } from 'bedrock-node' */
/** @typedef {{ id: RegionId, size: number }} Block */

export class BlockCache {
  /** By name, the least recently used first. @type {Map<string, Block>} */
  #blocks = new Map();
  /** Of blocks, and of those on their way in. */
  #bytes = 0;
  #hasWarned = false;

  /** @param {Target} target @param {number} budget @param {Logger} logger */
  constructor(target, budget, logger) {
    this.target = target;
    this.budget = budget;
    this.logger = logger;
  }

  get bytes() {
    return this.#bytes;
  }

  /**
   * Fills `into` from a block.
   * @param {string} name @param {number} offset within the block @param {Uint8Array} into
   * @returns {Promise<boolean>} whether the block was there
   */
  async read(name, offset, into) {
    const block = this.#blocks.get(name);
    if (block === undefined) return false;
    this.#blocks.delete(name);
    this.#blocks.set(name, block);
    try {
      await this.target.readInto(block.id, offset, into);
      return true;
    } catch (error) {
      // Dropped on the way; or the cache has a fault, and the store has the bytes all the same.
      if (this.#blocks.get(name) === block) {
        this.#blocks.delete(name);
        this.#bytes -= block.size;
        this.#warn('was not read', error);
      }
      return false;
    }
  }

  /**
   * Takes a block in, unless there is one of that name.
   * @param {string} name
   * @param {Uint8Array} bytes
   * @param {() => boolean} isCurrent whether the bytes are still those of the store; asked again when they are in
   */
  async add(name, bytes, isCurrent) {
    const size = bytes.length;
    if (size > this.budget || this.#blocks.has(name) || !isCurrent()) return;
    // Before the first wait: many adds at once keep to the budget together.
    this.#bytes += size;
    this.#makeRoom();
    if (this.#bytes > this.budget) {
      this.#bytes -= size;
      return;
    }
    /** @type {RegionId} */
    let id;
    try {
      id = await this.target.createAndWrite(bytes);
    } catch (error) {
      this.#bytes -= size;
      this.#warn('has no room for its budget', error);
      return;
    }
    if (isCurrent() && !this.#blocks.has(name)) this.#blocks.set(name, { id, size });
    else this.#erase({ id, size });
  }

  /** Forgets a block, from the call on. @param {string} name */
  drop(name) {
    const block = this.#blocks.get(name);
    if (block === undefined) return;
    this.#blocks.delete(name);
    this.#erase(block);
  }

  async clear() {
    const ids = [...this.#blocks.values()].map(({ id }) => id);
    this.#blocks.clear();
    this.#bytes = 0;
    await Promise.allSettled(ids.map((id) => this.target.erase(id)));
  }

  #makeRoom() {
    for (const [name, block] of this.#blocks) {
      if (this.#bytes <= this.budget) return;
      this.#blocks.delete(name);
      this.#erase(block);
    }
  }

  /** @param {Block} block */
  #erase({ id, size }) {
    this.#bytes -= size;
    this.target.erase(id).catch((error) => {
      const isGone =
        error instanceof BedrockError && ['REGION_NOT_FOUND', 'TARGET_CLOSED'].includes(error.code);
      if (!isGone) this.#warn('keeps a block that was dropped', error);
    });
  }

  /** Once: a cache that fails does so many times a second. @param {string} what @param {unknown} error */
  #warn(what, error) {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.logger.warning(`the cache ${what} (said once): ${messageOf(error)}`);
  }
}
