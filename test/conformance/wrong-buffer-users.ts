/** Backends that use the memory of their callers in a way that they must not. */
import { setImmediate as turn } from 'node:timers/promises';
import { type ArenaRegion, ArenaTarget } from '../targets/arena-target.js';

/** A write, or a read, by reference to the caller's memory. */
interface Kept {
  readonly region: ArenaRegion;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Lays what was kept of a region over a part of it. */
function lay(kept: readonly Kept[], region: ArenaRegion, offset: number, into: Uint8Array): void {
  for (const { region: of, offset: at, bytes } of kept) {
    if (of !== region) continue;
    const from = Math.max(at, offset);
    const to = Math.min(at + bytes.length, offset + into.length);
    if (from < to) into.set(bytes.subarray(from - at, to - at), from - offset);
  }
}

/** Writes show at once, and are stored when somebody asks for it. */
export class StoresWritesBehind extends ArenaTarget {
  #behind: Kept[] = [];

  protected override async writeBytes(region: ArenaRegion, offset: number, bytes: Uint8Array): Promise<void> {
    await turn();
    this.#behind.push({ region, offset, bytes });
  }
  protected override async readBytes(region: ArenaRegion, offset: number, into: Uint8Array): Promise<void> {
    await super.readBytes(region, offset, into);
    lay(this.#behind, region, offset, into);
  }
  protected override async persistRanges(): Promise<void> {
    await this.#store();
  }
  protected override async unpublish(region: ArenaRegion): Promise<void> {
    await this.#store();
    await super.unpublish(region);
  }
  protected override async closeStorage(): Promise<void> {
    await this.#store();
    await super.closeStorage();
  }

  async #store(): Promise<void> {
    const behind = this.#behind;
    this.#behind = [];
    for (const { region, offset, bytes } of behind) await super.writeBytes(region, offset, bytes);
  }
}

/** What was written durably is read from where it came from. */
export class ReadsDurableWritesFromTheirBuffers extends ArenaTarget {
  #durable: Kept[] = [];

  protected override async writeDurably(
    region: ArenaRegion,
    offset: number,
    bytes: Uint8Array,
  ): Promise<void> {
    await super.writeDurably(region, offset, bytes);
    this.#durable.push({ region, offset, bytes });
  }
  protected override async writeBytes(region: ArenaRegion, offset: number, bytes: Uint8Array): Promise<void> {
    this.#durable = this.#durable.filter((kept) => kept.region !== region);
    await super.writeBytes(region, offset, bytes);
  }
  protected override async readBytes(region: ArenaRegion, offset: number, into: Uint8Array): Promise<void> {
    await super.readBytes(region, offset, into);
    lay(this.#durable, region, offset, into);
  }
}

/** Every byte is stored inverted, and is inverted where it lies. */
export class InvertsTheCallersBytes extends ArenaTarget {
  protected override async writeBytes(region: ArenaRegion, offset: number, bytes: Uint8Array): Promise<void> {
    invert(bytes);
    await super.writeBytes(region, offset, bytes);
  }
  protected override async readBytes(region: ArenaRegion, offset: number, into: Uint8Array): Promise<void> {
    await super.readBytes(region, offset, into);
    invert(into);
  }
  protected override async zero({ start, size }: ArenaRegion): Promise<void> {
    await turn();
    this.arena.bytes.fill(0xff, start, start + size);
  }
}

function invert(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at++) bytes[at] = 0xff ^ (bytes[at] ?? 0);
}

/** The pieces of a source are stored together when there are two of them. */
export class KeepsPiecesOfSources extends ArenaTarget {
  readonly #pieces = new Map<ArenaRegion, Kept>();

  protected override async writeBytes(region: ArenaRegion, offset: number, bytes: Uint8Array): Promise<void> {
    const before = this.#pieces.get(region);
    this.#pieces.delete(region);
    if (before !== undefined) await super.writeBytes(region, before.offset, before.bytes);
    if (before === undefined && this.lookUp(region.id) === undefined)
      this.#pieces.set(region, { region, offset, bytes });
    else await super.writeBytes(region, offset, bytes);
  }
  protected override async publish(region: ArenaRegion): Promise<void> {
    const last = this.#pieces.get(region);
    this.#pieces.delete(region);
    if (last !== undefined) await super.writeBytes(region, last.offset, last.bytes);
    await super.publish(region);
  }
}

/** What was read is read again from where it went, which is kept up to date. */
export class KeepsFilledBuffers extends ArenaTarget {
  #filled: Kept[] = [];

  protected override async readBytes(region: ArenaRegion, offset: number, into: Uint8Array): Promise<void> {
    await super.readBytes(region, offset, into);
    this.#filled.push({ region, offset, bytes: into });
  }
  protected override async writeBytes(region: ArenaRegion, offset: number, bytes: Uint8Array): Promise<void> {
    await super.writeBytes(region, offset, bytes);
    for (const kept of this.#filled)
      if (kept.region === region) lay([{ region, offset, bytes }], region, kept.offset, kept.bytes);
  }
  protected override async unpublish(region: ArenaRegion): Promise<void> {
    await super.unpublish(region);
    this.#filled = this.#filled.filter((kept) => kept.region !== region);
  }
}
