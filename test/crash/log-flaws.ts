/**
 * Mistakes in the log of a pool, one each. The power-failure tests must find each of them, in mode
 * `logged`.
 */
import type { PoolMedium } from '../../core/index.js';
import { crc32c, crc32cOfWord } from '../../core/pool/crc32c.js';
import { HEADER_BYTES, type PoolId } from '../../core/pool/extent.js';
import { decodeHeader } from '../../core/pool/header.js';
import { LOG_BLOCK_BYTES } from '../../core/pool/log-record.js';
import { LoggedMedium } from '../../core/pool/logged-medium.js';
import { decodeRecordHead, RECORD_HEAD_BYTES } from '../../core/pool/record-parts.js';
import type { Eventually } from '../../core/targets/lifecycle.js';
import { Delegate, type FlawedImplementation } from './flaws.js';

type Pieces = readonly { readonly offset: number; readonly bytes: Uint8Array }[];

/** Knows records from the word `done`: that one comes alone. */
class LogDelegate extends Delegate {
  #done: number | undefined;

  checkSound(): void {
    this.real.checkSound?.();
  }

  async writeThrough(offset: number, bytes: Uint8Array, pieces: Pieces, callers: number): Promise<void> {
    if (pieces.length === 0) return this.writeDone(offset, bytes);
    // The first record after an open begins the first half, which follows the block of `done`.
    this.#done ??= offset - LOG_BLOCK_BYTES;
    await this.append(offset, bytes, pieces, callers);
  }

  protected append(offset: number, bytes: Uint8Array, pieces: Pieces, callers = 1): Promise<void> {
    return this.real.writeThrough?.(offset, bytes, pieces, callers) ?? Promise.resolve();
  }

  protected async writeDone(offset: number, bytes: Uint8Array): Promise<void> {
    await this.append(offset, bytes, []);
  }

  protected get doneOffset(): number {
    return this.#done ?? 0;
  }
}

function flawed(make: (real: PoolMedium) => PoolMedium): FlawedImplementation['flaw'] {
  return { medium: make };
}

const modes = ['logged'] as const;

export const LOG_FLAWS: readonly FlawedImplementation[] = [
  {
    title: 'a put is acknowledged before its record of the log is durable',
    sequence: 'a put, and others in its place',
    modes,
    flaw: flawed(
      (real) =>
        new (class extends LogDelegate {
          protected override async append(offset: number, bytes: Uint8Array, pieces: Pieces): Promise<void> {
            await this.real.stage(offset, bytes);
            for (const piece of pieces) await this.real.stage(piece.offset, piece.bytes);
          }
        })(real),
    ),
  },
  {
    title: 'what a record holds is stored in place before the record is durable',
    sequence: 'a transaction',
    modes,
    flaw: flawed(
      (real) =>
        new (class extends LogDelegate {
          protected override async append(offset: number, bytes: Uint8Array, pieces: Pieces): Promise<void> {
            for (const piece of pieces) await this.real.stage(piece.offset, piece.bytes);
            await super.append(offset, bytes, []);
          }
        })(real),
    ),
  },
  {
    title: 'the log is void before what it holds is durable in place',
    sequence: 'a put, and others in its place',
    modes,
    flaw: flawed(
      (real) =>
        new (class extends LogDelegate {
          protected override async append(offset: number, bytes: Uint8Array, pieces: Pieces): Promise<void> {
            await super.append(offset, bytes, pieces);
            if (pieces.length === 0) return;
            const done = Buffer.alloc(8);
            done.writeBigUInt64LE(BigInt(decodeRecordHead(Buffer.from(bytes)).sequence));
            await super.append(this.doneOffset, done, []);
          }
        })(real),
    ),
  },
  {
    title: 'a half of the log is used again before it is durably void',
    sequence: 'puts, and the end of their name',
    modes,
    flaw: flawed(
      (real) =>
        new (class extends LogDelegate {
          protected override async writeDone(offset: number, bytes: Uint8Array): Promise<void> {
            await this.real.stage(offset, bytes);
          }
        })(real),
    ),
  },
  {
    title: 'recovery believes a torn record of the log',
    sequence: 'transactions longer than a sector, one like the other',
    modes,
    flaw: flawed(
      (real) =>
        new (class extends LogDelegate {
          #pool: PoolId | undefined;
          override async read(offset: number, into: Uint8Array): Promise<void> {
            await this.real.read(offset, into);
            const bytes = Buffer.from(into.buffer, into.byteOffset, into.length);
            if (offset <= HEADER_BYTES) {
              const decoded = into.length === HEADER_BYTES ? decodeHeader(into) : undefined;
              if (decoded !== undefined && 'header' in decoded) this.#pool = decoded.header;
              return;
            }
            const isRecord = offset % LOG_BLOCK_BYTES === 0 && into.length > RECORD_HEAD_BYTES;
            if (!isRecord || this.#pool === undefined || decodeRecordHead(bytes).length !== into.length)
              return;
            const { poolLow, poolHigh } = this.#pool;
            bytes.writeUInt32LE(crc32c(bytes, crc32cOfWord(poolHigh, crc32cOfWord(poolLow)), 4), 0);
          }
        })(real),
    ),
  },
  {
    title: 'recovery stores the records of the log in the wrong order',
    sequence: 'a put, and others in its place',
    modes,
    flaw: flawed(
      (real) =>
        new (class extends LogDelegate {
          #isOpen = false;
          readonly #stores: [number, Uint8Array][] = [];
          override stage(offset: number, bytes: Uint8Array): Eventually<void> {
            if (this.#isOpen) return this.real.stage(offset, bytes);
            this.#stores.push([offset, bytes.slice()]);
            return undefined;
          }
          override async barrier(): Promise<void> {
            for (const [offset, bytes] of this.#stores.splice(0).toReversed())
              await this.real.stage(offset, bytes);
            await this.real.barrier();
          }
          opened(): void {
            this.#isOpen = true;
            this.real.opened?.();
          }
        })(real),
    ),
  },
  {
    title: 'recovery does not read the log',
    sequence: 'a put, and others in its place',
    modes,
    flaw: flawed(
      (real) =>
        new (class extends LogDelegate {
          override async read(offset: number, into: Uint8Array): Promise<void> {
            await this.real.read(offset, into);
            if (into.length === RECORD_HEAD_BYTES) into.fill(0);
          }
        })(real),
    ),
  },
  {
    title: 'the feature bit of the log is set after the first record',
    sequence: 'the first name',
    modes,
    flaw: flawed(
      (real) =>
        new (class extends LogDelegate {
          readonly #late: [number, Uint8Array][] = [];
          override async writeDurably(offset: number, bytes: Uint8Array): Promise<void> {
            const decoded = offset <= HEADER_BYTES ? decodeHeader(bytes) : undefined;
            if (decoded !== undefined && 'header' in decoded && decoded.header.log !== undefined)
              this.#late.push([offset, bytes.slice()]);
            else await this.real.writeDurably(offset, bytes);
          }
          override async writeThrough(
            offset: number,
            bytes: Uint8Array,
            pieces: Pieces,
            callers: number,
          ): Promise<void> {
            await super.writeThrough(offset, bytes, pieces, callers);
            // Behind what waits for the record.
            setImmediate(() => {
              for (const [at, late] of this.#late.splice(0)) void this.real.writeDurably(at, late);
            });
          }
        })(real),
    ),
  },
  {
    title: 'what goes past the log does not wait for what the log holds',
    sequence: 'small and large writes over each other',
    modes,
    flaw: {
      begin: () => {
        const real = Object.getOwnPropertyDescriptor(LoggedMedium.prototype, 'isInLog') as PropertyDescriptor;
        Object.defineProperty(LoggedMedium.prototype, 'isInLog', { ...real, value: () => false });
        return () => Object.defineProperty(LoggedMedium.prototype, 'isInLog', real);
      },
    },
  },
];
