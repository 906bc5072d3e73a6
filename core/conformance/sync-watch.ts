/**
 * Watches the fsyncs and fdatasyncs of Node's fs, and delays them: the only way to see inside a
 * process whether a promise of durability waited for the kernel. Active during one rule. Calls that
 * block the process can only be counted.
 */
import fs from 'node:fs';
import { open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { Gate } from './assertions.js';

type Async = (...given: unknown[]) => unknown;

export class SyncWatch {
  /** Resolves when the first one is requested. */
  readonly asked: Promise<void>;
  readonly #asked = new Gate();
  readonly #gate = new Gate();
  readonly #undo: (() => void)[] = [];

  private constructor() {
    this.asked = this.#asked.passed;
  }

  /** From now on they are delayed, until `release`. */
  static async begin(): Promise<SyncWatch> {
    const watch = new SyncWatch();
    // There is no other way to get the class of handles.
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

  /** Lets them continue. */
  release(): void {
    this.#gate.open();
  }

  /** Lets them continue, and restores everything. */
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
