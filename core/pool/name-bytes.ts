/**
 * The UTF-8 bytes of names on their way to the medium. A direct medium has copied them when the call
 * returns, so short names of ASCII use the same arrays again: to make one takes as long as to store
 * it.
 */

/** Longer names are rare. */
const REUSED_BYTES = 64;
const ASCII_END = 0x80;

export class NameBytes {
  /** By length. */
  readonly #arrays: (Buffer | undefined)[] = [];

  /**
   * @param isDirect whether the bytes are used only until the call returns
   * @returns the bytes; with `isDirect` until the next call
   */
  bytesOf(name: string, isDirect: boolean): Buffer {
    const { length } = name;
    if (!isDirect || length > REUSED_BYTES) return Buffer.from(name);
    const bytes = (this.#arrays[length] ??= Buffer.alloc(length));
    for (let at = 0; at < length; at++) {
      const code = name.charCodeAt(at);
      if (code >= ASCII_END) return Buffer.from(name);
      bytes[at] = code;
    }
    return bytes;
  }
}
