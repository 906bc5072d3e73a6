/**
 * Mistakes of the kind that only an order of events shows: two that were made, and were mended, and
 * others that could be. Each is a change of a line or two, made to a copy of the real code in
 * memory; the explorer must find it.
 */
import type { Patch } from './patched-modules.js';

export interface FlawedCode {
  readonly title: string;
  /** Targets on which the mistake can show; all of them unless told. */
  readonly kinds?: readonly string[];
  readonly patches: readonly Patch[];
}

/**
 * Not flaws: what happens once in a million regions, or in 16 MiB, happens every few steps. Slots
 * run out, the pool grows, and freshFrom rises often enough that others come in between.
 */
export const SMALL_STEPS: readonly Patch[] = [
  { file: 'core/pool/chunk-directory.ts', from: 'MIN_CHUNK_COUNT = 1024', to: 'MIN_CHUNK_COUNT = 4' },
  { file: 'core/pool/chunk-directory.ts', from: 'MAX_CHUNK_COUNT = 2 ** 18', to: 'MAX_CHUNK_COUNT = 8' },
  { file: 'core/pool/pool-space.ts', from: 'FRESH_STEP_BYTES = 2 ** 24', to: 'FRESH_STEP_BYTES = 2 ** 9' },
  { file: 'core/pool/growth.ts', from: 'STEP_BYTES = 2 ** 24', to: 'STEP_BYTES = 2 ** 9' },
  // Every other answer goes out in pieces, and every other request goes by the routes.
  {
    file: 'core/http/send-region.ts',
    from: 'export const ANSWER_PIECE_BYTES = 256 * 1024',
    to: 'export const ANSWER_PIECE_BYTES = 128',
  },
  {
    file: 'core/http/send-region.ts',
    from: 'CAUTIOUS_PIECE_BYTES = 32 * 1024',
    to: 'CAUTIOUS_PIECE_BYTES = 48',
  },
  { file: 'core/http/send-region.ts', from: 'CAUTIOUS_BYTES = 10 * 2 ** 20', to: 'CAUTIOUS_BYTES = 2 ** 8' },
  // What comes next can be guessed.
  { file: 'core/targets/generation-step.ts', from: 'FIRST_SPAN = 2 ** 26', to: 'FIRST_SPAN = 1' },
  { file: 'core/targets/generation-step.ts', from: 'NEXT_SPAN = 2 ** 10', to: 'NEXT_SPAN = 1' },
  // Larger ones are buffers of their own, which arguments may land in.
  { file: 'backends/memory/slab-heap.ts', from: 'MAX_CELL_BYTES = 2 ** 13', to: 'MAX_CELL_BYTES = 2 ** 6' },
];

const BYTES_TARGET = 'core/targets/bytes-target.ts';
const REGIONS_TARGET = 'core/targets/regions-target.ts';
const REGION_POOL = 'core/pool/region-pool.ts';
const POOLS = ['file', 'msync', 'pmem'];

export const FLAWS: readonly FlawedCode[] = [
  {
    title: "a region's object is kept a moment after its row became live, so that it may have two",
    kinds: ['msync'],
    patches: [
      {
        file: REGION_POOL,
        from: '    becameLive?.(region, named);\n',
        to: '    queueMicrotask(() => becameLive?.(region, named));\n',
      },
      {
        file: 'core/targets/region-cache.ts',
        from: 'if (other !== undefined) throw secondObject(region, other);',
        to: '',
      },
    ],
  },
  {
    title: 'a slot is taken after slots were added, though others may have taken them all',
    kinds: ['pmem'],
    patches: [
      {
        file: REGION_POOL,
        from: `
        await this.#slots.add();`,
        to: `
        await this.#slots.add();
        return { slot: this.table.takeFree(), offset, length };`,
      },
    ],
  },
  {
    title: 'a read lets its region go while it waits for the medium',
    kinds: ['file', 'msync', 'table'],
    patches: [
      {
        file: BYTES_TARGET,
        from: 'this.readBytes(region, offset, buffer.subarray(from, from + size)),\n      );\n      return buffer;',
        to: `{
          const pending = this.readBytes(region, offset, buffer.subarray(from, from + size));
          this.unpin(region);
          return Promise.resolve(pending).finally(() => this.pin(region));
        });
      return buffer;`,
      },
    ],
  },
  {
    title: 'an erase gives the space back while others still read',
    patches: [{ file: REGIONS_TARGET, from: 'if (region.pins > 1) {', to: 'if (region.pins > 1e9) {' }],
  },
  {
    title: 'an erase refuses its ID only when it is durable',
    kinds: ['file', 'msync', 'table'],
    patches: [
      { file: REGIONS_TARGET, from: 'region.isErased = true;\n    try {', to: 'try {' },
      {
        file: REGIONS_TARGET,
        from: '// Others may still be reading; then',
        to: 'region.isErased = true;\n    // Others may still be reading; then',
      },
    ],
  },
  {
    title: 'a write in flight keeps neither its region nor its target',
    kinds: ['file', 'msync', 'table'],
    patches: [
      {
        file: BYTES_TARGET,
        from: 'return pending === undefined ? undefined : this.#writing(region, offset, bytes.length, pending);',
        to: 'return pending;',
      },
    ],
  },
  {
    title: 'a listing shows what is being erased',
    kinds: ['file', 'msync', 'table'],
    patches: [{ file: REGIONS_TARGET, from: 'if (region.isErased === true) continue;', to: '' }],
  },
  {
    title: 'growth names its capacity before the space is allocated',
    kinds: POOLS,
    patches: [
      {
        file: 'core/pool/growth.ts',
        from: 'await this.#medium.grow(capacity, length);',
        to: 'void this.#medium.grow(capacity, length);',
      },
    ],
  },
  {
    title: 'two change space and header at once',
    kinds: POOLS,
    patches: [{ file: REGION_POOL, from: 'this.#turn.then(work)', to: 'Promise.resolve().then(work)' }],
  },
  {
    title: 'a slot is given back a second time, a moment later',
    kinds: POOLS,
    patches: [
      {
        file: 'core/pool/region-extents.ts',
        from: 'if (table.state(slot) === SlotState.erasing) table.setFree(slot, table.generation(slot));',
        to: `if (table.state(slot) === SlotState.erasing) {
      table.setFree(slot, table.generation(slot));
      queueMicrotask(() => {
        if (table.state(slot) === SlotState.taken) table.giveBack(slot);
      });
    }`,
      },
    ],
  },
  {
    title: 'an import looks whether its slot is free, waits for space, and takes it then',
    kinds: POOLS,
    patches: [
      {
        file: REGION_POOL,
        from: 'if (!this.table.take(slot, generation)) throw idTaken(id);',
        to: 'if (this.table.state(slot) !== SlotState.free || generation <= this.table.generation(slot)) throw idTaken(id);',
      },
      {
        file: REGION_POOL,
        from: 'return this.#taken(slot, offset, size, nameBytes);\n      } catch (error) {\n        this.table.giveBack(slot);',
        to: 'this.table.take(slot, generation);\n        return this.#taken(slot, offset, size, nameBytes);\n      } catch (error) {\n        this.table.giveBack(slot);',
      },
    ],
  },
  {
    title: 'a close does not wait for what is under way',
    patches: [
      {
        file: 'core/targets/lifecycle.ts',
        from: 'if (this.#inFlight > 0) await',
        to: 'if (this.#inFlight > 1e9) await',
      },
    ],
  },
  {
    title: 'a write joins a group that has gone to the system already',
    kinds: ['file', 'msync'],
    patches: [
      {
        file: 'core/pool-file/write-group.ts',
        from: 'if (this.#next?.pieces === pieces) this.#next = undefined;\n      return this.#writeMany(pieces);',
        to: `return this.#writeMany(pieces).finally(() => {
        if (this.#next?.pieces === pieces) this.#next = undefined;
      });`,
      },
    ],
  },
  {
    title: 'a creation takes its space after it has waited',
    kinds: ['table'],
    patches: [
      { file: 'core/targets/table-target.ts', from: 'this.#usedBytes += size;\n    let id', to: 'let id' },
      {
        file: 'core/targets/table-target.ts',
        from: 'return await this.makeRegion(id, size, this.#clock.now());',
        to: 'const made = await this.makeRegion(id, size, this.#clock.now());\n      this.#usedBytes += size;\n      return made;',
      },
    ],
  },
  {
    title: 'a conflict is seen only where requests begin at the same byte',
    kinds: ['file', 'msync'],
    patches: [
      {
        file: 'core/resp/conflicts.ts',
        from: 'if (!isWhole && (offset >= other.end || other.offset >= end)) continue;',
        to: 'if (!isWhole && offset !== other.offset) continue;',
      },
    ],
  },
  {
    title: 'an upload that is given up is completed if all its parts have come',
    patches: [
      {
        file: 'core/resp/uploads.ts',
        from: 'this.#failure ??= { error };\n    this.#next?.reject(error);',
        to: 'this.#isComplete = true;\n    void error;\n    this.#next?.resolve();',
      },
    ],
  },
  {
    title: 'a small body is answered as written before it is',
    kinds: ['file', 'msync', 'table'],
    patches: [
      {
        file: 'core/http/receive-region.ts',
        from: 'await target.write(ref, range.offset, whole, options);',
        to: 'void target.write(ref, range.offset, whole, options).catch(() => undefined);',
      },
    ],
  },
  {
    title: 'a piece of an answer is read to where the one before is still sent from',
    patches: [
      {
        file: 'core/http/send-region.ts',
        from: 'const piece = spare.subarray(0, Math.min(spare.length, end - offset));',
        to: 'const piece = filled.subarray(0, Math.min(filled.length, end - offset));',
      },
    ],
  },
  {
    title: 'requests of one HTTP connection are carried out at the same time',
    kinds: ['file', 'msync', 'table'],
    patches: [
      {
        file: 'core/http/connections.ts',
        from: 'if (inFlight.length === 1) {\n      this.handle(request, response);\n      return;\n    }',
        to: 'this.handle(request, response);\n    if (inFlight.length > 0) return;',
      },
      {
        file: 'core/http/connections.ts',
        from: 'else this.handle(next.request, next.response);',
        to: '',
      },
    ],
  },
  {
    title: 'a body that breaks off is taken for whole, and its region appears',
    patches: [
      {
        file: 'core/http/body.ts',
        from: 'throw new ClientGone(`the client left after ${received} bytes of its body`);',
        to: 'return;',
      },
      { file: REGIONS_TARGET, from: 'checkGiven(offset, region.size, true);', to: '' },
    ],
  },
  {
    title: 'a small request that has been answered keeps its place among those that are carried out',
    patches: [
      {
        file: 'core/http/small-requests.ts',
        from: 'executionPool.leave();\n      requests.leave();',
        to: 'if (failure !== undefined) executionPool.leave();\n      requests.leave();',
      },
    ],
  },
  {
    title: 'a region whose erase was refused stays refused',
    kinds: ['file', 'msync'],
    patches: [
      {
        file: REGIONS_TARGET,
        from: 'region.isErased = false;\n    this.unpin(region);',
        to: 'this.unpin(region);',
      },
    ],
  },
  {
    title: 'space that was taken for what was refused is lost',
    kinds: ['file', 'msync'],
    patches: [
      {
        file: 'core/pool/pool-space.ts',
        from: 'if (!this.#isReady(offset, length)) await this.#makeReady(offset, length);\n    } catch (error) {\n      this.#space.free(offset, length);',
        to: 'if (!this.#isReady(offset, length)) await this.#makeReady(offset, length);\n    } catch (error) {',
      },
    ],
  },
  {
    title: 'the file is closed while somebody looks at it',
    kinds: ['file', 'msync'],
    patches: [
      { file: 'core/pool-file/pool-file-io.ts', from: 'await Promise.all(this.#looking);', to: '' },
      {
        file: 'core/pool/pool-target.ts',
        from: 'await medium.look?.();',
        to: 'void medium.look?.().catch(() => undefined);',
      },
    ],
  },
  {
    title: 'changes of one name are made at the same time',
    kinds: ['file', 'msync'],
    patches: [
      {
        file: 'core/targets/name-locks.ts',
        from: 'if (waiting.ahead === 0) return release;',
        to: 'if (waiting.ahead >= 0) return () => undefined;',
      },
    ],
  },
  {
    title: 'a rename that had to wait does not look again which region has the name',
    kinds: ['file', 'msync'],
    patches: [
      {
        file: 'core/targets/named-regions.ts',
        from: 'if ([...keysNow()].every((key) => keys.has(key))) return release;',
        to: 'if (keys.size > 0) return release;',
      },
    ],
  },
  {
    title: 'a put looks for the region that it replaces before it waits for its turn',
    kinds: ['file', 'msync'],
    patches: [
      {
        file: 'core/targets/named-regions.ts',
        from: 'const release = await this.locks.acquire([name]);\n    try {\n      const replaced = this.check(wish);',
        to: 'const replaced = this.check(wish);\n    const release = await this.locks.acquire([name]);\n    try {',
      },
    ],
  },
  {
    title: 'the space of a replaced region is given back while others still read',
    kinds: ['file', 'msync'],
    patches: [
      {
        file: REGIONS_TARGET,
        from: 'this.gate.listener?.changed(region.id);\n        this.unpin(region);',
        to: 'region.pins = 1;\n        this.unpin(region);',
      },
    ],
  },
  {
    title: 'a transaction is planned before it has the locks of its names',
    kinds: ['file', 'msync'],
    patches: [
      {
        file: 'core/targets/transactions.ts',
        from: `const release = await this.#lock(changes, seen);
    try {
      return await this.#make(changes, planTransaction(changes, this.store, seen));`,
        to: `const plan = planTransaction(changes, this.store, seen);
    const release = await this.#lock(changes, seen);
    try {
      return await this.#make(changes, plan);`,
      },
    ],
  },
  {
    title: 'a value is replaced that was changed in place since it was read',
    kinds: ['file', 'msync', 'memory'],
    patches: [
      {
        file: 'core/targets/named-regions.ts',
        from: 'if (changes !== undefined && holder !== undefined && this.store.changesOf(holder.id) !== changes)',
        to: 'if (changes === -1 && holder !== undefined)',
      },
    ],
  },
  {
    title: 'a value that is being replaced can be changed in place until it is gone',
    kinds: ['file', 'msync'],
    patches: [
      {
        file: 'core/targets/named-regions.ts',
        from: `holding(new Set([replaced]), () => {
          this.check(wish);
          return publish();
        }),`,
        to: 'publish(),',
      },
    ],
  },
  {
    title: 'the new name of a region is seen a moment after its row became live',
    kinds: ['file', 'msync'],
    patches: [
      {
        file: 'core/pool/pool-target.ts',
        from: 'this.#regions.setName(region, text);\n    if (replaced !== undefined) this.#regions.forget(replaced);',
        to: 'void Promise.resolve().then(() => this.#regions.setName(region, text));\n    if (replaced !== undefined) this.#regions.forget(replaced);',
      },
    ],
  },
  {
    title: 'the names of a transaction are seen one after another',
    kinds: ['file', 'msync', 'pmem'],
    patches: [
      {
        file: 'core/pool/pool-target.ts',
        from: 'regions.setNames([...renamed, ...published]);',
        to: `const [first, ...others] = [...renamed, ...published];
        if (first !== undefined) regions.setNames([first]);
        queueMicrotask(() => regions.setNames(others));`,
      },
    ],
  },
  {
    title: 'two change the journal at once',
    kinds: ['file', 'msync'],
    patches: [
      {
        file: 'core/pool/pool-changes.ts',
        from: 'return this.#inTurn(async () => {\n      const names = await this.#place(change);',
        to: 'return Promise.resolve().then(async () => {\n      const names = await this.#place(change);',
      },
    ],
  },
];
