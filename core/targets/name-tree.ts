/**
 * Names in the order of their bytes: a tree of the places where they differ, over a heap that holds
 * the bytes.
 *
 * A name is a row of symbols, three for each byte: a mark that there is a byte (1, and 0 after the
 * end), its upper four bits, its lower four. A node stands for the first place at which the names
 * below it differ, with one branch for each of 16 symbols. So finding a name takes few steps,
 * however many bytes names share, and one comparison. The order of the tree is the order of the
 * bytes; a name comes before longer names that begin with it.
 *
 * A node takes 66 bytes, in slabs of 4096, and has at least two branches. So a tree has fewer nodes
 * than names; for numbered names, a tenth. The first slab begins small, and is moved as it doubles
 * up to that size; nothing else moves. A branch is 0, the number of a node plus one, or `~place` of
 * a name in the heap.
 */
import type { NameHeap } from './name-heap.js';

const BRANCHES = 16;
const SLAB_BITS = 12;
const SLAB_NODES = 2 ** SLAB_BITS;
/** Of the first slab at first: a target with few names takes little memory. */
const FIRST_NODES = 16;
const EMPTY = 0;

class Slab {
  readonly branches: Int32Array;
  /** The symbol by which a node branches: four times the byte, plus 0, 1 or 2. */
  readonly symbols: Uint16Array;

  constructor(readonly nodes: number) {
    this.branches = new Int32Array(nodes * BRANCHES);
    this.symbols = new Uint16Array(nodes);
  }
}

/** The name that comes after all others, and the nodes on the way to it. */
export interface HighestName {
  /** -1 if there is none. */
  place: number;
  readonly path: number[];
}

/** The name comes before the highest one. */
export const OUT_OF_ORDER = -2;

/** A branch of a node; with node 0, the root. */
interface Branch {
  node: number;
  symbol: number;
}

export class NameTree {
  readonly #slabs: Slab[] = [];
  /** Nodes that the slabs have room for. */
  #room = 0;
  #root = EMPTY;
  /** The list of unused nodes: this is the first, its first branch is the next, and so on. */
  #freeNode = EMPTY;
  /** Nodes that were ever used: the first ones. */
  #nodes = 0;
  /** Nodes in use. */
  #used = 0;

  /** The name nearest to the key of the last `seek`, and the first symbol in which they differ. */
  #soughtNear = 0;
  #soughtSymbol = 0;

  constructor(private readonly heap: NameHeap) {}

  /** Bytes of memory that it takes. */
  get bytes(): number {
    return this.#room * (BRANCHES * 4 + 2);
  }

  /** The place of a name in the heap, or -1. @param start of the name in `key` */
  find(key: Uint8Array, length: number, start = 0): number {
    let ref = this.#root;
    while (ref > 0) ref = this.#branch(ref, symbolOf(key, start, length, this.#symbol(ref)));
    return ref !== EMPTY && this.heap.isAt(~ref, key, length, start) ? ~ref : -1;
  }

  /**
   * Makes sure that there are nodes for the next `count` names.
   * @throws RangeError if the system refuses the memory
   */
  reserve(count: number): void {
    while (this.#room - this.#used < count) this.#addNodes();
  }

  #addNodes(): void {
    const first = this.#slabs[0];
    if (first !== undefined && first.nodes < SLAB_NODES) {
      const larger = new Slab(2 * first.nodes);
      larger.branches.set(first.branches);
      larger.symbols.set(first.symbols);
      this.#slabs[0] = larger;
      this.#room = larger.nodes;
      return;
    }
    const nodes = first === undefined ? FIRST_NODES : SLAB_NODES;
    this.#slabs.push(new Slab(nodes));
    this.#room += nodes;
  }

  /**
   * Like `find`. If the name is not there, `insertSought` can add it, before anything else changes
   * the tree.
   */
  seek(key: Uint8Array, length: number): number {
    if (this.#root === EMPTY) return -1;
    this.#soughtNear = this.#nearest(key, length);
    this.#soughtSymbol = this.heap.differenceAt(this.#soughtNear, key, length);
    return this.#soughtSymbol < 0 ? this.#soughtNear : -1;
  }

  /** Adds a name that is not there yet. Call `reserve` before. */
  insert(key: Uint8Array, length: number, place: number): void {
    this.seek(key, length);
    this.insertSought(key, length, place);
  }

  /** Adds the name that `seek` has not found. Call `reserve` before. */
  insertSought(key: Uint8Array, length: number, place: number): void {
    if (this.#root === EMPTY) {
      this.#root = ~place;
      return;
    }
    const nearest = this.#soughtNear;
    const first = this.#soughtSymbol;
    const at: Branch = { node: EMPTY, symbol: 0 };
    const ref = this.#descend(key, length, first, at);
    const symbol = symbolOf(key, 0, length, first);
    if (ref > 0 && this.#symbol(ref) === first) {
      this.#setBranch(ref, symbol, ~place);
      return;
    }
    const node = this.#takeNode(first);
    this.#setBranch(node, this.#symbolAt(nearest, first), ref);
    this.#setBranch(node, symbol, ~place);
    this.#set(at, node);
  }

  /**
   * Adds the name at a place if it comes after all others. It takes no search: the way to the name
   * before is known. Call `reserve` before.
   * @param highest what was added last, by this; nothing else may change the tree meanwhile
   * @param common bytes that both are known to begin with
   * @returns -1, or the place of the same name if it is the highest one already, or OUT_OF_ORDER;
   *   then nothing has changed
   */
  append(place: number, highest: HighestName, common: number): number {
    const { path, place: before } = highest;
    if (this.#root === EMPTY) this.#root = ~place;
    else {
      const first = this.heap.differenceBetween(before, place, common);
      if (first < 0) return before;
      const symbol = this.#symbolAt(place, first);
      const symbolBefore = this.#symbolAt(before, first);
      if (symbol < symbolBefore) return OUT_OF_ORDER;
      let below = ~before;
      while (path.length > 0 && this.#symbol(path.at(-1) as number) > first) below = path.pop() as number;
      const above = path.at(-1) ?? EMPTY;
      if (above !== EMPTY && this.#symbol(above) === first) this.#setBranch(above, symbol, ~place);
      else {
        const node = this.#takeNode(first);
        this.#setBranch(node, symbolBefore, below);
        this.#setBranch(node, symbol, ~place);
        if (above === EMPTY) this.#root = node;
        else this.#setBranch(above, this.#symbolAt(before, this.#symbol(above)), node);
        path.push(node);
      }
    }
    highest.place = place;
    return -1;
  }

  /** The name that comes after all others, for `append`. */
  highest(): HighestName {
    const path: number[] = [];
    let ref = this.#root;
    while (ref > 0) {
      path.push(ref);
      let symbol = BRANCHES - 1;
      while (this.#branch(ref, symbol) === EMPTY) symbol--;
      ref = this.#branch(ref, symbol);
    }
    return { place: ref === EMPTY ? -1 : ~ref, path };
  }

  /** Removes the name at a place. */
  remove(place: number): void {
    const above: Branch = { node: EMPTY, symbol: 0 };
    const at: Branch = { node: EMPTY, symbol: 0 };
    this.#findPlace(place, at, above);
    this.#set(at, EMPTY);
    if (at.node === EMPTY) return;
    const only = this.#onlyBranch(at.node);
    if (only === EMPTY) return;
    this.#set(above, only);
    this.#setBranch(at.node, 0, this.#freeNode);
    this.#freeNode = at.node;
    this.#used--;
  }

  /** Updates the place of a name that has moved. Its bytes are at both places. */
  move(from: number, to: number): void {
    const at: Branch = { node: EMPTY, symbol: 0 };
    this.#findPlace(from, at, { node: EMPTY, symbol: 0 });
    this.#set(at, ~to);
  }

  // ---- the order ----

  /** The path for `next`, starting at a key. The tree must not change while it is used. */
  pathFrom(key: Uint8Array): number[] {
    const path: number[] = [];
    if (this.#root === EMPTY) return path;
    const { length } = key;
    const nearest = this.#nearest(key, length);
    const first = this.heap.differenceAt(nearest, key, length);
    let ref = this.#root;
    while (ref > 0 && (first < 0 || this.#symbol(ref) <= first)) {
      const symbol = symbolOf(key, 0, length, this.#symbol(ref));
      this.#pushBehind(path, ref, symbol);
      ref = this.#branch(ref, symbol);
    }
    // All names below are alike up to the difference: either the key comes after all of them, or before all.
    const isBehind = first < 0 || symbolOf(key, 0, length, first) < this.#symbolAt(nearest, first);
    if (ref !== EMPTY && isBehind) path.push(ref);
    return path;
  }

  /** The place of the first name of a path, which then continues after it; -1 at the end. */
  next(path: number[]): number {
    let ref = path.pop();
    if (ref === undefined) return -1;
    while (ref > 0) {
      const first: number = this.#firstBranch(ref);
      this.#pushBehind(path, ref, first);
      ref = this.#branch(ref, first);
    }
    return ~ref;
  }

  /** Pushes the branches of a node after a symbol onto a path, the first of them last. */
  #pushBehind(path: number[], node: number, symbol: number): void {
    for (let other = BRANCHES - 1; other > symbol; other--) {
      const ref = this.#branch(node, other);
      if (ref !== EMPTY) path.push(ref);
    }
  }

  // ---- descents; the tree is not empty ----

  /** The place of a name that shares at least as many first symbols with a key as any other does. */
  #nearest(key: Uint8Array, length: number): number {
    let ref = this.#root;
    while (ref > 0) {
      const next = this.#branch(ref, symbolOf(key, 0, length, this.#symbol(ref)));
      ref = next === EMPTY ? this.#branch(ref, this.#firstBranch(ref)) : next;
    }
    return ~ref;
  }

  /**
   * Descends to the first node that branches by this symbol of a key or a later one, or to a name.
   * `at` becomes the branch that leads there.
   */
  #descend(key: Uint8Array, length: number, first: number, at: Branch): number {
    let ref = this.#root;
    while (ref > 0 && this.#symbol(ref) < first) {
      at.node = ref;
      at.symbol = symbolOf(key, 0, length, this.#symbol(ref));
      ref = this.#branch(ref, at.symbol);
    }
    return ref;
  }

  /** Sets `at` to the branch of a name, and `above` to the one that leads to its node. */
  #findPlace(place: number, at: Branch, above: Branch): void {
    const bytes = this.heap.bytesAt(place);
    const start = this.heap.startAt(place);
    const length = this.heap.lengthAt(place);
    for (let ref = this.#root; ref > 0; ref = this.#branch(ref, at.symbol)) {
      above.node = at.node;
      above.symbol = at.symbol;
      at.node = ref;
      at.symbol = symbolOf(bytes, start, length, this.#symbol(ref));
    }
  }

  // ---- nodes ----

  #takeNode(symbol: number): number {
    const node = this.#freeNode === EMPTY ? ++this.#nodes : this.#freeNode;
    if (node === this.#freeNode) this.#freeNode = this.#branch(node, 0);
    this.#used++;
    const slab = this.#slabOf(node);
    const index = (node - 1) & (SLAB_NODES - 1);
    slab.branches.fill(EMPTY, index * BRANCHES, (index + 1) * BRANCHES);
    slab.symbols[index] = symbol;
    return node;
  }

  #slabOf(node: number): Slab {
    return this.#slabs[(node - 1) >>> SLAB_BITS] as Slab;
  }

  #symbol(node: number): number {
    return this.#slabOf(node).symbols[(node - 1) & (SLAB_NODES - 1)] as number;
  }

  #branch(node: number, symbol: number): number {
    return this.#slabOf(node).branches[((node - 1) & (SLAB_NODES - 1)) * BRANCHES + symbol] as number;
  }

  #setBranch(node: number, symbol: number, ref: number): void {
    this.#slabOf(node).branches[((node - 1) & (SLAB_NODES - 1)) * BRANCHES + symbol] = ref;
  }

  #set({ node, symbol }: Branch, ref: number): void {
    if (node === EMPTY) this.#root = ref;
    else this.#setBranch(node, symbol, ref);
  }

  #firstBranch(node: number): number {
    let symbol = 0;
    while (this.#branch(node, symbol) === EMPTY) symbol++;
    return symbol;
  }

  /** The target of a node's only branch, or EMPTY if it has more. */
  #onlyBranch(node: number): number {
    let only = EMPTY;
    for (let symbol = 0; symbol < BRANCHES; symbol++) {
      const ref = this.#branch(node, symbol);
      if (ref === EMPTY) continue;
      if (only !== EMPTY) return EMPTY;
      only = ref;
    }
    return only;
  }

  #symbolAt(place: number, symbol: number): number {
    const { heap } = this;
    return symbolOf(heap.bytesAt(place), heap.startAt(place), heap.lengthAt(place), symbol);
  }
}

/** A symbol of a name, as the head of this file describes. */
function symbolOf(bytes: Uint8Array, start: number, length: number, symbol: number): number {
  const byte = symbol >>> 2;
  if (byte >= length) return 0;
  const value = bytes[start + byte] as number;
  switch (symbol & 3) {
    case 0:
      return 1;
    case 1:
      return value >>> 4;
    default:
      return value & 15;
  }
}
