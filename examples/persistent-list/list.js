/**
 * A persistent linked list: the first thing most people write with libpmem, in JavaScript. It lives in a mapped file and survives
 * a kill, or on persistent memory a power failure, at any point.
 *
 * The file, all numbers little-endian and 8 bytes unless told otherwise:
 *
 *     offset  meaning
 *     0       magic, "PLIST 1\0"; written last when the file is made, so a half-made file is known by its absence
 *     8       head: offset of the first node, 0 if the list is empty
 *     64      nodes, 64 bytes each:
 *               +0  next: offset of the next node, 0 at the end
 *               +8  length of the text in bytes (4 bytes), then its CRC32C (4 bytes)
 *               +16 the text, up to 48 bytes
 *
 * The write order, and what a crash leaves after each step:
 *
 *     append  1. the new node, whole, made durable. Nothing points at it: the old list.
 *             2. the last node's `next` (or the head), one 8-byte store, made durable: the new list.
 *     remove  1. the `next` before it (or the head) skips the node, one 8-byte store, made durable: the list without it.
 *
 * An aligned 8-byte store is atomic on persistent memory, so of each step 2 a crash leaves all or nothing; no log is needed. The
 * order of 1 and 2 is what must never be broken: a pointer that is durable before its node points at rubbish.
 *
 * Which nodes are free is written nowhere. It follows from the list, so recovery finds it by walking the list once; what a crash
 * left between steps is free again.
 */
import { stat } from 'node:fs/promises';
import { crc32c, mapFile } from 'bedrock-node/native';

const MAGIC = Buffer.from('PLIST 1\0').readBigUInt64LE();
const MAGIC_AT = 0;
const HEAD_AT = 8;
const NODE_BYTES = 64;
const TEXT_BYTES = 48;

/** One change at a time: wait for each before the next. */
export class PersistentList {
  #mapping;
  /** The file's bytes, for reading: plain loads need no call. */
  #bytes;
  /** Offset of each node in use, in the order of the list. */
  #nodes = [];
  #free = [];

  /** Opens a list, and makes it if there is none. @param size bytes of a file that is made */
  static async open(path, size = 2 ** 20) {
    // A file that is there is extended if need be, and never cut off.
    const found = await stat(path).catch(() => ({ size: 0 }));
    const mapping = await mapFile(path, { create: true, size: Math.max(size, found.size) });
    const list = new PersistentList(mapping);
    await list.#recover();
    return list;
  }

  constructor(mapping) {
    this.#mapping = mapping;
    this.#bytes = Buffer.from(mapping.window(0).buffer);
  }

  get length() {
    return this.#nodes.length;
  }

  /** The texts, first to last. */
  *[Symbol.iterator]() {
    for (const node of this.#nodes) yield this.#textOf(node);
  }

  /** Adds a text at the end; durable when it resolves. */
  async append(text) {
    const bytes = Buffer.from(text);
    if (bytes.length > TEXT_BYTES) throw new RangeError(`a text has at most ${TEXT_BYTES} bytes`);
    const node = this.#free.pop();
    if (node === undefined) throw new RangeError('the list is full');

    const image = Buffer.alloc(NODE_BYTES);
    image.writeUInt32LE(bytes.length, 8);
    bytes.copy(image, 16);
    image.writeUInt32LE(this.#checksum(image), 12);
    // Step 1. On persistent memory this is done when it returns; on a disk the promise must be waited for.
    await this.#mapping.copyPersist(node, image);
    // Step 2.
    await this.#mapping.storePersist64(this.#linkTo(this.#nodes.length), BigInt(node));
    this.#nodes.push(node);
  }

  /** Removes the text at an index, 0 being the first; durable when it resolves. */
  async remove(index) {
    const node = this.#nodes[index];
    if (node === undefined) throw new RangeError(`there is no text at ${index}`);
    await this.#mapping.storePersist64(this.#linkTo(index), this.#mapping.load64(node));
    this.#nodes.splice(index, 1);
    // Only now: until the pointer is durable a crash may bring the node back.
    this.#free.push(node);
  }

  close() {
    return this.#mapping.close();
  }

  /** Where the pointer to the node at an index stands: in the node before it, or in the head. */
  #linkTo(index) {
    return index === 0 ? HEAD_AT : this.#nodes[index - 1];
  }

  #textOf(node) {
    return this.#bytes.toString('utf8', node + 16, node + 16 + this.#bytes.readUInt32LE(node + 8));
  }

  /** CRC32C of a node's text and its length; the pointer is left out, since it changes alone. */
  #checksum(image) {
    return crc32c(image.subarray(16, 16 + image.readUInt32LE(8)), image.readUInt32LE(8));
  }

  async #recover() {
    const { size } = this.#mapping;
    if (this.#mapping.load64(MAGIC_AT) !== MAGIC) {
      // New, or a crash came before the magic. The head first, the magic last.
      await this.#mapping.storePersist64(HEAD_AT, 0n);
      await this.#mapping.storePersist64(MAGIC_AT, MAGIC);
    }
    const used = new Set();
    let node = Number(this.#mapping.load64(HEAD_AT));
    while (node !== 0) {
      this.#checkNode(node, used);
      used.add(node);
      node = Number(this.#mapping.load64(node));
    }
    this.#nodes = [...used];
    for (let at = NODE_BYTES; at + NODE_BYTES <= size; at += NODE_BYTES)
      if (!used.has(at)) this.#free.push(at);
  }

  /** No crash leaves any of these; a faulty medium may, or somebody else's hands. */
  #checkNode(node, used) {
    const isPlace = node >= NODE_BYTES && node % NODE_BYTES === 0 && node + NODE_BYTES <= this.#mapping.size;
    if (!isPlace || used.has(node)) throw new Error(`the list is damaged: no node can be at ${node}`);
    const image = this.#bytes.subarray(node, node + NODE_BYTES);
    const isText = image.readUInt32LE(8) <= TEXT_BYTES;
    if (!isText || this.#checksum(image) !== image.readUInt32LE(12)) {
      throw new Error(`the list is damaged: the node at ${node} does not match its checksum`);
    }
  }
}
