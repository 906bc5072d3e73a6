/**
 * A key-value store whose values are printed where they lie: on persistent memory no byte of a value is copied on its way from the medium to
 * the call that uses it.
 */

/** @import { Target } from 'bedrock-node' */

export class Pairs {
  #target;

  /** @param {Target} target a `named` and `mappable` one of this process, such as `memory` or `pmem` */
  constructor(target) {
    this.#target = target;
  }

  /** Stores a value, as a whole; durable when this resolves, if the target is persistent. @param {string} key @param {string} value */
  async set(key, value) {
    await this.#target.put(key, Buffer.from(value));
  }

  /**
   * Calls `use` with each pair, in the order of keys. The bytes of a value are the target's own: they may be used, and not kept, until the
   * call ends. Until then the value stays as it is, even if it is replaced.
   * @param {(key: string, value: Uint8Array) => void | Promise<void>} use @param {string} [prefix]
   */
  async forEach(use, prefix = '') {
    for await (const { name, views } of this.#target.mapNames({ prefix })) {
      // A value of this size is in one view. An empty one has none.
      await use(name, views[0] ?? new Uint8Array());
    }
  }

  /** @param {string} key */
  async delete(key) {
    await this.#target.erase(key);
  }
}
