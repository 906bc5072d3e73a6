/**
 * An ordered set of pairs of numbers: a B+ tree in slabs of doubles, without an object for a pair or a node.
 *
 * A seek sets the one cursor. `first` and `second` are the pair at the cursor, and insert and
 * remove work there. The height bounds every step: five or six levels for a million pairs. Memory
 * is taken one slab (8 KiB, some 300 pairs) at a time, and growing copies nothing but the first
 * slab, which begins with one node, so there are no pauses. Empty nodes are used again; their
 * memory is not given back.
 *
 * A node is 64 doubles, 512 bytes:
 *   leaf   0..30 first, 31..61 second                       62 count, 63 unused
 *   inner  0..19 first, 20..39 second, 40..59 child         62 count, 63 unused
 * The pair beside a child is exactly the child's lowest pair, so the pair after a leaf's last can
 * be read without visiting the next leaf.
 */
import { BedrockError } from '../base/errors.js';

const NODE = 64;
const COUNT = 62;
const LEAF_CAPACITY = 31;
const INNER_CAPACITY = 20;
const CHILD = 2 * INNER_CAPACITY;
const SLAB_SHIFT = 4;
const SLAB_NODES = 1 << SLAB_SHIFT;
/** Inner nodes have at least ten children on average, and node numbers stop far below 10^16. */
const MAX_HEIGHT = 16;

export class PairTree {
  readonly #slabs: Float64Array[] = [];
  /** Numbers of nodes that were used before, and are free now. */
  readonly #unused: number[] = [];
  #used = 0;
  #root: number;
  #height = 0;
  #size = 0;
  nextFirst = 0;
  nextSecond = 0;
  /**
   * The cursor: a node and a position in it for each level; leaves are level 0. Position -1 is
   * before the lowest pair.
   */
  readonly #nodes = new Int32Array(MAX_HEIGHT);
  readonly #positions = new Int32Array(MAX_HEIGHT);

  constructor() {
    this.#root = this.#newNode();
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes of the slabs. */
  get memoryBytes(): number {
    return this.#slabs.reduce((sum, slab) => sum + slab.byteLength, 0);
  }

  get first(): number {
    return this.#slab(this.#nodes[0] as number)[this.#cell()] as number;
  }

  get second(): number {
    return this.#slab(this.#nodes[0] as number)[this.#cell() + LEAF_CAPACITY] as number;
  }

  /**
   * Moves the cursor to the highest pair that is not above the given one.
   * @returns false if there is none: then `next` is the lowest
   */
  seekAtMost(first: number, second: number): boolean {
    let node = this.#root;
    for (let level = this.#height; level > 0; level--) {
      const position = Math.max(0, this.#atMost(node, INNER_CAPACITY, first, second) - 1);
      this.#nodes[level] = node;
      this.#positions[level] = position;
      node = this.#slab(node)[base(node) + CHILD + position] as number;
    }
    const position = this.#atMost(node, LEAF_CAPACITY, first, second) - 1;
    this.#nodes[0] = node;
    this.#positions[0] = position;
    return position >= 0;
  }

  /** Moves the cursor to the highest pair. @returns false if there is none */
  seekLast(): boolean {
    return this.seekAtMost(Infinity, Infinity);
  }

  /**
   * Reads the pair after the cursor, which stays.
   * @returns whether there is one: then `nextFirst` and `nextSecond` are set
   */
  peekNext(): boolean {
    const level = this.#levelOfNext();
    if (level > this.#height) return false;
    const node = this.#nodes[level] as number;
    const cell = base(node) + (this.#positions[level] as number) + 1;
    this.nextFirst = this.#slab(node)[cell] as number;
    this.nextSecond = this.#slab(node)[cell + capacityOf(level)] as number;
    return true;
  }

  /** Moves the cursor up by one pair. @returns false, without a move, if there is none */
  next(): boolean {
    let level = this.#levelOfNext();
    if (level > this.#height) return false;
    (this.#positions[level] as number)++;
    for (; level > 0; level--) {
      const node = this.#nodes[level] as number;
      const below = this.#slab(node)[base(node) + CHILD + (this.#positions[level] as number)] as number;
      this.#nodes[level - 1] = below;
      this.#positions[level - 1] = 0;
    }
    return true;
  }

  /** Replaces the pair at the cursor. The new pair must belong there. */
  replace(first: number, second: number): void {
    const slab = this.#slab(this.#nodes[0] as number);
    const cell = this.#cell();
    slab[cell] = first;
    slab[cell + LEAF_CAPACITY] = second;
    if (this.#positions[0] === 0) this.#passLowestUp(0);
  }

  insert(first: number, second: number): void {
    this.seekAtMost(first, second);
    this.insertAfter(first, second);
  }

  /** Inserts a pair right after the cursor, where it must belong. The cursor is then void. */
  insertAfter(first: number, second: number): void {
    this.#size++;
    this.#insertAt(0, first, second, 0);
  }

  /** @throws INTERNAL if the pair is not there */
  remove(first: number, second: number): void {
    if (!this.seekAtMost(first, second) || this.first !== first || this.second !== second)
      throw new BedrockError('INTERNAL', `the free space indexes disagree about (${first}, ${second})`);
    this.removeCurrent();
  }

  /** Removes the pair at the cursor. The cursor is then void. */
  removeCurrent(): void {
    this.#size--;
    this.#removeAt(0);
  }

  #insertAt(level: number, first: number, second: number, child: number): void {
    const node = this.#nodes[level] as number;
    const position = (this.#positions[level] as number) + 1;
    const capacity = capacityOf(level);
    if (this.#count(node) < capacity) {
      this.#put(node, level, position, first, second, child);
      if (position === 0) this.#passLowestUp(level);
      return;
    }
    const right = this.#newNode();
    // Recovery adds in ascending order. Leaving the highest node full instead of half full halves its memory.
    const kept = position === capacity && this.#isHighest(level) ? capacity : capacity >> 1;
    this.#move(node, kept, right, level);
    if (position > kept || kept === capacity) this.#put(right, level, position - kept, first, second, child);
    else this.#put(node, level, position, first, second, child);
    if (level === this.#height) this.#growRoot(node, level);
    else if (position === 0) this.#passLowestUp(level);
    const slab = this.#slab(right);
    const lowest = base(right);
    this.#insertAt(level + 1, slab[lowest] as number, slab[lowest + capacity] as number, right);
  }

  #removeAt(level: number): void {
    const node = this.#nodes[level] as number;
    const position = this.#positions[level] as number;
    this.#take(node, level, position);
    const count = this.#count(node);
    if (level === this.#height) {
      this.#shrinkRoot();
    } else if (count === 0) {
      this.#unused.push(node);
      this.#removeAt(level + 1);
    } else {
      if (position === 0) this.#passLowestUp(level);
      if (count <= capacityOf(level) >> 1) this.#merge(level);
    }
  }

  /**
   * Joins the cursor's node of a level with a neighbour if one node can hold both. So two
   * neighbours are on average half full.
   */
  #merge(level: number): void {
    const node = this.#nodes[level] as number;
    const parent = this.#nodes[level + 1] as number;
    const position = this.#positions[level + 1] as number;
    const children = base(parent) + CHILD;
    const slab = this.#slab(parent);
    const room = capacityOf(level) - this.#count(node);
    if (position + 1 < this.#count(parent)) {
      const right = slab[children + position + 1] as number;
      if (this.#count(right) <= room) {
        this.#move(right, 0, node, level);
        this.#unused.push(right);
        this.#positions[level + 1] = position + 1;
        this.#removeAt(level + 1);
        return;
      }
    }
    if (position > 0) {
      const left = slab[children + position - 1] as number;
      if (this.#count(left) <= room) {
        this.#move(node, 0, left, level);
        this.#unused.push(node);
        this.#removeAt(level + 1);
      }
    }
  }

  /** Gives the root a parent with the root as its only child, and gives the cursor a position there. */
  #growRoot(root: number, level: number): void {
    const grown = this.#newNode();
    const slab = this.#slab(root);
    const lowest = base(root);
    this.#put(grown, level + 1, 0, slab[lowest] as number, slab[lowest + capacityOf(level)] as number, root);
    this.#root = grown;
    this.#height = level + 1;
    this.#nodes[level + 1] = grown;
    this.#positions[level + 1] = 0;
  }

  #shrinkRoot(): void {
    while (this.#height > 0 && this.#count(this.#root) === 1) {
      this.#unused.push(this.#root);
      this.#root = this.#slab(this.#root)[base(this.#root) + CHILD] as number;
      this.#height--;
    }
  }

  /** Copies the lowest pair of the cursor's node of a level to the levels above that repeat it. */
  #passLowestUp(level: number): void {
    const node = this.#nodes[level] as number;
    const lowest = base(node);
    const from = this.#slab(node);
    const first = from[lowest] as number;
    const second = from[lowest + capacityOf(level)] as number;
    while (level++ < this.#height) {
      const parent = this.#nodes[level] as number;
      const position = this.#positions[level] as number;
      const slab = this.#slab(parent);
      slab[base(parent) + position] = first;
      slab[base(parent) + INNER_CAPACITY + position] = second;
      if (position > 0) return;
    }
  }

  /**
   * @returns the lowest level at which the cursor's node has more pairs; one above the root's level
   *   if the cursor is at the highest pair
   */
  #levelOfNext(): number {
    let level = 0;
    while (
      level <= this.#height &&
      (this.#positions[level] as number) + 1 >= this.#count(this.#nodes[level] as number)
    )
      level++;
    return level;
  }

  /** Whether the cursor's node is the last of its level. */
  #isHighest(level: number): boolean {
    while (level++ < this.#height) {
      if ((this.#positions[level] as number) + 1 < this.#count(this.#nodes[level] as number)) return false;
    }
    return true;
  }

  /**
   * Scans by four, then by one. With so few pairs a binary search takes a fifth longer, as the
   * processor mispredicts half its branches.
   * @returns how many pairs of a node are not above the given one
   */
  #atMost(node: number, capacity: number, first: number, second: number): number {
    const slab = this.#slab(node);
    const start = base(node);
    const end = start + (slab[start + COUNT] as number);
    let at = start;
    while (at + 4 <= end && (slab[at + 3] as number) < first) at += 4;
    while (at < end && (slab[at] as number) < first) at++;
    while (at < end && slab[at] === first && (slab[at + capacity] as number) <= second) at++;
    return at - start;
  }

  #put(node: number, level: number, position: number, first: number, second: number, child: number): void {
    const slab = this.#slab(node);
    const capacity = capacityOf(level);
    const start = base(node);
    const count = slab[start + COUNT] as number;
    const cell = start + position;
    for (let at = start + count; at > cell; at--) {
      slab[at] = slab[at - 1] as number;
      slab[at + capacity] = slab[at + capacity - 1] as number;
    }
    slab[cell] = first;
    slab[cell + capacity] = second;
    if (level > 0) {
      for (let at = start + CHILD + count; at > cell + CHILD; at--) slab[at] = slab[at - 1] as number;
      slab[cell + CHILD] = child;
    }
    slab[start + COUNT] = count + 1;
  }

  #take(node: number, level: number, position: number): void {
    const slab = this.#slab(node);
    const capacity = capacityOf(level);
    const start = base(node);
    const last = start + (slab[start + COUNT] as number) - 1;
    for (let at = start + position; at < last; at++) {
      slab[at] = slab[at + 1] as number;
      slab[at + capacity] = slab[at + capacity + 1] as number;
      if (level > 0) slab[at + CHILD] = slab[at + CHILD + 1] as number;
    }
    slab[start + COUNT] = last - start;
  }

  /** Moves a node's pairs, from a position on, to the end of another node that has room for them. */
  #move(from: number, position: number, to: number, level: number): void {
    const source = this.#slab(from);
    const target = this.#slab(to);
    const capacity = capacityOf(level);
    const moved = (source[base(from) + COUNT] as number) - position;
    const kept = target[base(to) + COUNT] as number;
    for (let column = 0; column < (level > 0 ? 3 : 2); column++) {
      const read = base(from) + column * capacity + position;
      const write = base(to) + column * capacity + kept;
      for (let index = 0; index < moved; index++) target[write + index] = source[read + index] as number;
    }
    source[base(from) + COUNT] = position;
    target[base(to) + COUNT] = kept + moved;
  }

  #newNode(): number {
    const node = this.#unused.pop() ?? this.#used++;
    if (node < SLAB_NODES) this.#growFirst(node);
    else if (node >> SLAB_SHIFT === this.#slabs.length) this.#slabs.push(new Float64Array(SLAB_NODES * NODE));
    this.#slab(node)[base(node) + COUNT] = 0;
    return node;
  }

  /** Makes room for a node in the first slab, by doubling it. */
  #growFirst(node: number): void {
    const first = this.#slabs[0];
    const room = (first?.length ?? 0) / NODE;
    if (node < room) return;
    const larger = new Float64Array(Math.max(1, 2 * room) * NODE);
    if (first !== undefined) larger.set(first);
    this.#slabs[0] = larger;
  }

  #slab(node: number): Float64Array {
    return this.#slabs[node >> SLAB_SHIFT] as Float64Array;
  }

  #count(node: number): number {
    return this.#slab(node)[base(node) + COUNT] as number;
  }

  #cell(): number {
    return base(this.#nodes[0] as number) + (this.#positions[0] as number);
  }
}

function base(node: number): number {
  return (node & (SLAB_NODES - 1)) * NODE;
}

function capacityOf(level: number): number {
  return level === 0 ? LEAF_CAPACITY : INNER_CAPACITY;
}
