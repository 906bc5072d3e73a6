/**
 * A pool's file on a simulated medium: what the backends use of a FileHandle, and of the file
 * operations that it lacks.
 *
 * A write is read from its buffer when it is carried out, not when it is called; it may come in two
 * parts, and may be short, as reads may. An fdatasync takes along what was stored before it began.
 * A hole that was punched counts as zeros that were stored.
 */
import type { FileHandle } from 'node:fs/promises';
import type { FileOperations } from '../../core/pool-file/file-operations.js';
import type { SimulatedMedia } from './simulated-media.js';
import type { SimulatedProcess } from './simulated-process.js';

/** What no write splits: a descriptor goes to the page cache in one piece. */
const SECTOR_BYTES = 512;

export class SimulatedFile {
  readonly #media: SimulatedMedia;
  readonly #process: SimulatedProcess;

  constructor(media: SimulatedMedia, process: SimulatedProcess) {
    this.#media = media;
    this.#process = process;
  }

  asFileHandle(): FileHandle {
    return this as unknown as FileHandle;
  }

  read(into: Uint8Array, at: number, length: number, position: number): Promise<{ bytesRead: number }> {
    const bytesRead = this.#shortened(Math.min(length, this.#media.bytes.length - position));
    const run = (): void => into.set(this.#media.bytes.subarray(position, position + bytesRead), at);
    return this.#process.start([{ run }], () => ({ bytesRead }));
  }

  write(bytes: Uint8Array, at: number, length: number, position: number): Promise<{ bytesWritten: number }> {
    const bytesWritten = this.#shortened(length);
    const cut = Math.min(bytesWritten, this.#process.choice(2) * this.#sectors(bytesWritten));
    const part = (from: number, to: number) => ({
      run: () => this.#media.store(position + from, bytes.subarray(at + from, at + to)),
      outlivesProcess: true,
    });
    return this.#process.start([part(0, cut), part(cut, bytesWritten)], () => ({ bytesWritten }));
  }

  datasync(): Promise<void> {
    let upTo = 0;
    return this.#process.start(
      [
        { run: () => (upTo = this.#media.serial) },
        { run: () => this.#media.makeDurable(0, this.#media.bytes.length, upTo) },
      ],
      () => undefined,
    );
  }

  /** Nothing is made durable by it. */
  close(): Promise<void> {
    return this.#process.start([{ run: () => undefined }], () => undefined);
  }

  readonly operations: FileOperations = {
    lock: () => Promise.resolve(),
    allocate: () => this.#process.start([{ run: () => undefined }], () => undefined),
    writeMany: (_file, pieces) => {
      const steps = pieces.flatMap(({ offset, bytes }) => {
        // It copies them in the call.
        const copy = bytes.slice();
        const cut = Math.min(copy.length, this.#process.choice(2) * this.#sectors(copy.length));
        return [
          { run: () => this.#media.store(offset, copy.subarray(0, cut)), outlivesProcess: true },
          { run: () => this.#media.store(offset + cut, copy.subarray(cut)), outlivesProcess: true },
        ];
      });
      return this.#process.start(steps, () => undefined);
    },
    writeThrough: (_file, _known, { offset, bytes }, pieces) => {
      const copy = bytes.slice();
      const cut = Math.min(copy.length, this.#process.choice(2) * this.#sectors(copy.length));
      const own = pieces.map((piece) => ({ offset: piece.offset, bytes: piece.bytes.slice() }));
      let done = 0;
      const steps = [
        () => this.#media.store(offset, copy.subarray(0, cut)),
        () => this.#media.store(offset + cut, copy.subarray(cut)),
        () => this.#media.makeDurable(offset, copy.length),
        ...own.map((piece) => () => this.#media.store(piece.offset, piece.bytes)),
      ].map((step, number) => ({
        run: () => {
          // A thread that is killed in one step does not come to the next one.
          if (number > done) return;
          step();
          done++;
        },
        outlivesProcess: true,
      }));
      return this.#process.start(steps, () => true);
    },
    zero: (_file, offset, length) => this.#zero(offset, length),
    discard: (_file, offset, length) => this.#zero(offset, length),
    // Nobody else is here to change it.
    verify: () => Promise.resolve(),
    commit: () => this.datasync().then(() => true),
  };

  #zero(offset: number, length: number): Promise<undefined> {
    const run = (): void => this.#media.fill(offset, length, 0);
    return this.#process.start([{ run, outlivesProcess: true }], () => undefined);
  }

  #shortened(length: number): number {
    return length > SECTOR_BYTES && this.#process.choice(4) === 1 ? this.#sectors(length) : length;
  }

  /** Some whole sectors of so many bytes, at least one. */
  #sectors(length: number): number {
    return SECTOR_BYTES * (1 + this.#process.choice(Math.max(1, Math.floor(length / SECTOR_BYTES) - 1)));
  }
}
