/**
 * Watches the fsyncs and fdatasyncs of Node's fs, and holds them back: the only way to see from inside a process whether a promise
 * that says "durable" waited for the kernel. For the time of one rule; calls that block the process can be counted only.
 */
import fs from 'node:fs';
import { open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { Gate } from './assertions.js';

type Async = (...given: unknown[]) => unknown;

export class SyncWatch {
  /** Resolves when the first one is asked for. */
  readonly asked: Promise<void>;
  readonly #asked = new Gate();
  readonly #gate = new Gate();
  readonly #undo: (() => void)[] = [];

  private constructor() {
    this.asked = this.#asked.passed;
  }

  /** From now on they are held back, until `release`. */
  static async begin(): Promise<SyncWatch> {
    const watch = new SyncWatch();
    // The class of handles has no other way to be had.
    const handle = await open(process.execPath);
    const prototype = Object.getPrototypeOf(handle) as Record<string, Async>;
    await handle.close();
    for (const name of ['sync', 'datasync']) watch.#replace(prototype, name, 'promise');
    const module = fs as unknown as Record<string, Async>;
    for (const name of ['fsync', 'fdatasync']) {
      watch.#replace(module, name, 'callback');
      watch.#replace(module, `${name}Sync`, 'blocking');
    }
    syncBuiltinESMExports();
    return watch;
  }

  /** Lets them go on. */
  release(): void {
    this.#gate.open();
  }

  /** Lets them go on, and leaves everything as it was. */
  end(): void {
    this.release();
    for (const undo of this.#undo) undo();
    syncBuiltinESMExports();
  }

  #replace(owner: Record<string, Async>, name: string, kind: 'promise' | 'callback' | 'blocking'): void {
    const original = owner[name];
    if (original === undefined) return;
    const { passed } = this.#gate;
    const notice = (): void => this.#asked.open();
    owner[name] = function (this: unknown, ...given: unknown[]): unknown {
      notice();
      if (kind === 'blocking') return original.apply(this, given);
      const done = passed.then(() => original.apply(this, given));
      return kind === 'promise' ? done : undefined;
    };
    this.#undo.push(() => (owner[name] = original));
  }
}
