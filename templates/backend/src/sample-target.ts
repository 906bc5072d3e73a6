/**
 * A target that keeps its regions in memory, in pages that are made when they are first written.
 *
 * TableTarget finds and lists the regions, checks arguments and bounds, counts space, and calls what is here with ranges that lie
 * within the region, while it stays in place. Offsets go beyond 4 GiB: no 32-bit arithmetic on them.
 */
import { Region, TableTarget } from 'bedrock-node';
import type { BackendContext, Capabilities, RegionId } from 'bedrock-node';
import type { SampleConfig } from './config.js';

export const SAMPLE_CAPABILITIES: Capabilities = {
  persistent: false,
  mappable: false,
  growable: false,
  importable: false,
  snapshots: false,
  named: true,
  transactional: false,
};

const PAGE_BYTES = 65_536;

class SampleRegion extends Region {
  /** By number; a page that was never written is all zero. */
  readonly pages = new Map<number, Uint8Array>();
}

export class SampleTarget extends TableTarget<SampleRegion> {
  readonly type = 'sample';
  readonly mode = 'volatile';
  readonly capabilities = SAMPLE_CAPABILITIES;

  constructor(config: SampleConfig, context: BackendContext) {
    super(context, config.max_bytes);
  }

  protected makeRegion(id: RegionId, size: number, createdAt: number): SampleRegion {
    return new SampleRegion(id, size, createdAt);
  }

  /** Fills `into` from `offset` on. */
  protected readBytes({ pages }: SampleRegion, offset: number, into: Uint8Array): void {
    for (const { page, from, at, size } of piecesOf(offset, into.length)) {
      const bytes = pages.get(page)?.subarray(from, from + size);
      if (bytes === undefined) into.fill(0, at, at + size);
      else into.set(bytes, at);
    }
  }

  /** Takes a copy of `bytes` to `offset`. */
  protected writeBytes({ pages }: SampleRegion, offset: number, bytes: Uint8Array): void {
    for (const { page, from, at, size } of piecesOf(offset, bytes.length)) {
      const into = pages.get(page) ?? new Uint8Array(PAGE_BYTES);
      pages.set(page, into);
      into.set(bytes.subarray(at, at + size), from);
    }
  }
}

interface Piece {
  readonly page: number;
  /** First byte in the page. */
  readonly from: number;
  /** First byte in the range. */
  readonly at: number;
  readonly size: number;
}

/** What a range comes to, page by page. */
function* piecesOf(offset: number, length: number): Generator<Piece> {
  let at = 0;
  while (at < length) {
    const from = (offset + at) % PAGE_BYTES;
    const size = Math.min(PAGE_BYTES - from, length - at);
    yield { page: Math.floor((offset + at) / PAGE_BYTES), from, at, size };
    at += size;
  }
}
