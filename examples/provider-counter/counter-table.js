/**
 * Counters in a region, each increment durable before it is acknowledged.
 *
 * | offset  | size | meaning                                                                          |
 * | ------- | ---- | -------------------------------------------------------------------------------- |
 * | 0       | 8    | `BRCOUNT1`                                                                       |
 * | 8       | 48   | name of the provider: length (u8), UTF-8                                         |
 * | 56      | 8    | generation (u64): of several regions of one provider the highest counts          |
 * | 64      | 128  | slot 0; the others follow                                                        |
 *
 * A slot: the name's record at 0 (64 bytes), two records of the value at 64 and 96 (32 bytes each).
 *
 * | offset in a record | name                 | value                                |
 * | ------------------ | -------------------- | ------------------------------------ |
 * | 0                  | CRC-32 of the rest   | CRC-32 of the rest                   |
 * | 4                  | length (u8), UTF-8   | zero                                 |
 * | 8                  |                      | version (u64): 1, 2, 3 …             |
 * | 16                 |                      | value (i64)                          |
 *
 * Order of a new counter: both values, durable; then the name, durable. A crash between leaves a free slot. Of an increment: the record
 * with the older version, durable. A crash in it leaves bytes of both, whose checksum fails; the other record has the value that was
 * acknowledged last. Of a removal: the name's record becomes zero. Of a change of all counters at once: a region of the next
 * generation, contents and all, in one step; then the old one goes.
 */
import { crc32 } from 'node:zlib';
import { BedrockError } from 'bedrock-node';

/** @import { RegionId, Target } from 'bedrock-node' */

const MAGIC = 'BRCOUNT1';
const HEADER_BYTES = 64;
const GENERATION_AT = 56;
const SLOT_BYTES = 128;
const VALUE_AT = [64, 96];
const VALUE_BYTES = 32;
/** Bytes that a name may have, a provider's or a counter's. */
const MAX_NAME_BYTES = 47;

/** @typedef {{ slot: number, value: number, version: bigint, written: Promise<void> | undefined, next: Promise<void> | undefined }} Counter */

export class CounterTable {
  /** @type {Map<string, Counter>} */
  #counters = new Map();
  /** @type {number[]} */
  #freeSlots = [];

  /** @type {Map<string, Promise<Counter>>} */
  #making = new Map();
  /** @type {Map<string, Promise<void>>} */
  #removing = new Map();

  /** @param {Target} target @param {RegionId} id @param {number} capacity @param {bigint} generation */
  constructor(target, id, capacity, generation) {
    this.target = target;
    this.id = id;
    this.capacity = capacity;
    this.generation = generation;
  }

  /**
   * Makes a region for the counters of a provider, with some in it.
   * @param {Target} target @param {string} owner @param {number} capacity
   * @param {bigint} [generation] @param {Readonly<Record<string, number>>} [values]
   */
  static async create(target, owner, capacity, generation = 1n, values = {}) {
    const entries = Object.entries(values);
    if (entries.length > capacity)
      throw new BedrockError(
        'OUT_OF_SPACE',
        `${entries.length} counters are more than the ${capacity} there is room for`,
      );
    const bytes = Buffer.alloc(HEADER_BYTES + capacity * SLOT_BYTES);
    headerOf(owner).copy(bytes);
    bytes.writeBigUInt64LE(generation, GENERATION_AT);
    for (const [slot, [name, value]] of entries.entries()) {
      const at = HEADER_BYTES + slot * SLOT_BYTES;
      nameRecord(name).copy(bytes, at);
      valueRecord(value, 2n).copy(bytes, at + 64);
      valueRecord(value, 1n).copy(bytes, at + 96);
    }
    const id = await target.createAndWrite(bytes, { persist: true });
    const table = new CounterTable(target, id, capacity, generation);
    await table.#load();
    return table;
  }

  /** The counters in a region; nothing if it has none of this provider's. @param {Target} target @param {string} owner @param {RegionId} id */
  static async open(target, owner, id) {
    const { size } = await target.stat(id);
    const capacity = (size - HEADER_BYTES) / SLOT_BYTES;
    if (!Number.isInteger(capacity) || capacity < 1) return undefined;
    const header = Buffer.from(await target.read(id, 0, HEADER_BYTES));
    if (!headerOf(owner).subarray(0, GENERATION_AT).equals(header.subarray(0, GENERATION_AT)))
      return undefined;
    const table = new CounterTable(target, id, capacity, header.readBigUInt64LE(GENERATION_AT));
    await table.#load();
    return table;
  }

  /** The counters of a provider, wherever they are; what a crash has left of older ones goes. @param {Target} target @param {string} owner */
  static async find(target, owner) {
    /** @type {CounterTable | undefined} */
    let latest;
    let page = await target.list();
    for (;;) {
      for (const { id } of page.regions) {
        const found = await CounterTable.open(target, owner, id);
        if (found === undefined) continue;
        const isNewer = latest === undefined || found.generation > latest.generation;
        const older = isNewer ? latest : found;
        if (isNewer) latest = found;
        if (older !== undefined) await target.erase(older.id);
      }
      if (page.next === undefined) return latest;
      page = await target.list({ after: page.next });
    }
  }

  async #load() {
    const bytes = Buffer.from(await this.target.read(this.id, HEADER_BYTES, this.capacity * SLOT_BYTES));
    for (let slot = this.capacity - 1; slot >= 0; slot--) {
      const record = bytes.subarray(slot * SLOT_BYTES, (slot + 1) * SLOT_BYTES);
      const name = nameIn(record.subarray(0, 64));
      if (name === undefined) {
        this.#freeSlots.push(slot);
        continue;
      }
      const values = VALUE_AT.flatMap((at) => valueIn(record.subarray(at, at + VALUE_BYTES)) ?? []);
      const [latest] = values.sort((one, other) => Number(other.version - one.version));
      if (latest === undefined)
        throw new BedrockError(
          'POOL_CORRUPT',
          `the counter ${name} in region ${this.id.toString()} is damaged`,
        );
      this.#counters.set(name, { slot, ...latest, written: undefined, next: undefined });
    }
  }

  get size() {
    return this.#counters.size;
  }

  /** @returns {Record<string, number>} */
  get values() {
    const entries = [...this.#counters].map(([name, { value }]) => /** @type {const} */ ([name, value]));
    return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  /** @param {string} name */
  get(name) {
    return this.#counters.get(name)?.value;
  }

  /**
   * Adds to a counter, which is made if it is not there.
   * @param {string} name @param {number} by
   * @returns {Promise<number>} its value after this increment, when that is durable
   */
  async add(name, by) {
    const counter = this.#counters.get(name) ?? (await this.#make(name));
    const value = counter.value + by;
    if (!Number.isSafeInteger(value))
      throw new BedrockError('CONFLICT', `${name} is ${counter.value}; ${by} more is beyond 2^53`);
    counter.value = value;
    await this.#write(counter);
    return value;
  }

  /** Whoever comes while a write is under way shares the next one. @param {Counter} counter @returns {Promise<void>} */
  #write(counter) {
    counter.next ??= (counter.written ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        counter.written = counter.next;
        counter.next = undefined;
        return this.#writeValue(counter);
      });
    return counter.next;
  }

  /** @param {Counter} counter */
  async #writeValue(counter) {
    const version = counter.version + 1n;
    const at = VALUE_AT[Number(version % 2n)] ?? 0;
    await this.#persist(counter.slot, at, valueRecord(counter.value, version));
    counter.version = version;
  }

  /** @param {number} slot @param {number} at @param {Buffer} bytes */
  #persist(slot, at, bytes) {
    return this.target.write(this.id, HEADER_BYTES + slot * SLOT_BYTES + at, bytes, { persist: true });
  }

  /** @param {string} name @returns {Promise<Counter>} */
  #make(name) {
    const making = this.#making.get(name) ?? this.#makeNow(name).finally(() => this.#making.delete(name));
    this.#making.set(name, making);
    return making;
  }

  /** @param {string} name @returns {Promise<Counter>} */
  async #makeNow(name) {
    const record = nameRecord(name);
    // Two slots of one name must never be there together.
    await this.#removing.get(name)?.catch(() => undefined);
    const again = this.#counters.get(name);
    if (again !== undefined) return again;
    const slot = this.#freeSlots.pop();
    if (slot === undefined)
      throw new BedrockError(
        'OUT_OF_SPACE',
        `there are ${this.capacity} counters; remove some or raise max_counters`,
      );
    try {
      const values = Buffer.concat([valueRecord(0, 2n), valueRecord(0, 1n)]);
      await this.#persist(slot, 64, values);
      await this.#persist(slot, 0, record);
    } catch (error) {
      this.#freeSlots.push(slot);
      throw error;
    }
    /** @type {Counter} */
    const counter = { slot, value: 0, version: 2n, written: undefined, next: undefined };
    this.#counters.set(name, counter);
    return counter;
  }

  /** @param {string} name @returns {Promise<boolean>} whether it was there */
  async remove(name) {
    const counter = this.#counters.get(name);
    if (counter === undefined) return false;
    this.#counters.delete(name);
    const removal = this.#removeNow(name, counter).finally(() => this.#removing.delete(name));
    this.#removing.set(name, removal);
    await removal;
    return true;
  }

  /** @param {string} name @param {Counter} counter */
  async #removeNow(name, counter) {
    // Increments that came before are answered first; what they write is of no account.
    await Promise.allSettled([counter.written, counter.next]);
    try {
      await this.#persist(counter.slot, 0, Buffer.alloc(64));
    } catch (error) {
      this.#counters.set(name, counter);
      throw error;
    }
    this.#freeSlots.push(counter.slot);
  }

  /** Resolves when nothing is on its way any more; nothing new may come meanwhile. */
  async settle() {
    await Promise.allSettled([...this.#making.values(), ...this.#removing.values()]);
    // Those who made a counter now add to it.
    await new Promise((resolve) => setImmediate(resolve));
    await Promise.allSettled([...this.#counters.values()].flatMap(({ written, next }) => [written, next]));
  }
}

/** @param {string} owner */
function headerOf(owner) {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, 0, 'latin1');
  textOf(owner).copy(header, 8);
  return header;
}

/** Length and text. @param {string} text */
function textOf(text) {
  const bytes = Buffer.from(text);
  if (bytes.length < 1 || bytes.length > MAX_NAME_BYTES)
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `a name has 1 to ${MAX_NAME_BYTES} bytes, and "${text}" has ${bytes.length}`,
    );
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

/** @param {string} name */
function nameRecord(name) {
  const record = Buffer.alloc(64);
  textOf(name).copy(record, 4);
  return sealed(record);
}

/** @param {Buffer} record */
function nameIn(record) {
  const length = record[4] ?? 0;
  return isSealed(record) && length > 0 ? record.toString('utf8', 5, 5 + length) : undefined;
}

/** @param {number} value @param {bigint} version */
function valueRecord(value, version) {
  const record = Buffer.alloc(VALUE_BYTES);
  record.writeBigUInt64LE(version, 8);
  record.writeBigInt64LE(BigInt(value), 16);
  return sealed(record);
}

/** @param {Buffer} record */
function valueIn(record) {
  if (!isSealed(record)) return undefined;
  return { version: record.readBigUInt64LE(8), value: Number(record.readBigInt64LE(16)) };
}

/** @param {Buffer} record */
function sealed(record) {
  record.writeUInt32LE(crc32(record.subarray(4)), 0);
  return record;
}

/** @param {Buffer} record */
function isSealed(record) {
  return record.readUInt32LE(0) === crc32(record.subarray(4));
}
