/** Which region has which name, in memory: found by the one or the other, and given in the order of the names' UTF-8 bytes. */

/** @template R @typedef {{ name: string, bytes: Buffer, region: R }} Entry */

/** @template {object} R */
export class OrderedNames {
  /** @type {Map<string, Entry<R>>} */
  #byName = new Map();
  /** @type {Map<object, Entry<R>>} */
  #byRegion = new Map();
  /** In order. JavaScript compares strings by UTF-16, which is another order than that of bytes. @type {Entry<R>[]} */
  #ordered = [];

  /** @param {string} name */
  regionOf(name) {
    return this.#byName.get(name)?.region;
  }

  /** @param {R} region */
  nameOf(region) {
    return this.#byRegion.get(region)?.name;
  }

  /** Those from these bytes on, or all, as they are now. @param {Uint8Array} [bytes] */
  *from(bytes) {
    const ordered = this.#ordered;
    for (let at = bytes === undefined ? 0 : this.#placeOf(bytes); at < ordered.length; at++)
      yield /** @type {Entry<R>} */ (ordered[at]);
  }

  /** Gives a region a name that nobody has, in place of its own; undefined takes its name away. @param {R} region @param {string | undefined} name */
  set(region, name) {
    const old = this.#byRegion.get(region);
    if (old?.name === name) return;
    if (old !== undefined) {
      this.#ordered.splice(this.#placeOf(old.bytes), 1);
      this.#byName.delete(old.name);
      this.#byRegion.delete(region);
    }
    if (name === undefined) return;
    const entry = { name, bytes: Buffer.from(name), region };
    this.#ordered.splice(this.#placeOf(entry.bytes), 0, entry);
    this.#byName.set(name, entry);
    this.#byRegion.set(region, entry);
  }

  /** The same for several regions, which may exchange their names. @param {readonly { region: R, name: string | undefined }[]} changes */
  setAll(changes) {
    const real = changes.filter(({ region, name }) => this.nameOf(region) !== name);
    for (const { region } of real) this.set(region, undefined);
    for (const { region, name } of real) this.set(region, name);
  }

  /** How many names come before these bytes. @param {Uint8Array} bytes */
  #placeOf(bytes) {
    let [from, to] = [0, this.#ordered.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      const other = /** @type {Entry<R>} */ (this.#ordered[middle]);
      if (Buffer.compare(other.bytes, bytes) < 0) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
