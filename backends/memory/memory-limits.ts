/**
 * All limits of the process's memory: control groups, available memory of the machine, and limits
 * of the process itself (`ulimit -v`, `ulimit -d`).
 *
 * They come from /proc and /sys, which the kernel generates from memory.
 */
import { readFileSync } from 'node:fs';
import { freemem, totalmem } from 'node:os';
import path from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { ControlGroups, type MemoryLimit } from './control-groups.js';

const PAGE_BYTES = 4096;

/** The source of the limits; tests use another one. */
export interface MemorySource {
  limits(): readonly MemoryLimit[];
  /** Anonymous resident memory of the process: memory that it has written and that no file backs. */
  residentBytes(): number;
  /** Memory of the engine's heap and of all buffers, including those of regions, written or not. */
  engineBytes(): number;
}

export class MemoryLimits implements MemorySource {
  readonly #groups: ControlGroups;
  #ofProcess: readonly ProcessLimit[] | undefined;

  /** @param root the folder that contains /proc and /sys */
  constructor(private readonly root = '/') {
    this.#groups = new ControlGroups(root);
  }

  limits(): MemoryLimit[] {
    return [...this.#groups.limits(), this.#machine(), ...this.#process()];
  }

  residentBytes(): number {
    const { resident, shared } = this.#statm();
    return resident - shared;
  }

  engineBytes(): number {
    const { total_heap_size: heap, external_memory: buffers } = getHeapStatistics();
    return heap + buffers;
  }

  #machine(): MemoryLimit {
    const text = readText(this.root, '/proc/meminfo') ?? '';
    const limitBytes = kilobytes(text, 'MemTotal') ?? totalmem();
    const available = kilobytes(text, 'MemAvailable') ?? freemem();
    return { name: 'the machine', limitBytes, usedBytes: limitBytes - available };
  }

  #process(): MemoryLimit[] {
    this.#ofProcess ??= processLimits(readText(this.root, '/proc/self/limits') ?? '');
    if (this.#ofProcess.length === 0) return [];
    const statm = this.#statm();
    return this.#ofProcess.map(({ name, limitBytes, figure }) => ({
      name,
      limitBytes,
      usedBytes: statm[figure],
      countsUntouched: true,
    }));
  }

  /** Bytes; see proc_pid_statm(5). */
  #statm(): Record<'size' | 'resident' | 'shared' | 'data', number> {
    const pages = (readText(this.root, '/proc/self/statm') ?? '').split(' ').map(Number);
    const [size = 0, resident = 0, shared = 0, , , data = 0] = pages.map((count) => count * PAGE_BYTES);
    return { size, resident, shared, data };
  }
}

interface ProcessLimit {
  readonly name: string;
  readonly limitBytes: number;
  readonly figure: 'size' | 'data';
}

/** From lines such as `Max address space         1536000000           unlimited            bytes`. */
function processLimits(text: string): ProcessLimit[] {
  const rows = [
    { title: 'Max address space', name: 'the limit of address space (ulimit -v)', figure: 'size' },
    { title: 'Max data size', name: 'the limit of data (ulimit -d)', figure: 'data' },
  ] as const;
  return rows.flatMap(({ title, name, figure }) => {
    const line = text.split('\n').find((each) => each.startsWith(title));
    const limitBytes = Number(line?.slice(title.length).trim().split(' ')[0]);
    return limitBytes >= 0 ? [{ name, limitBytes, figure }] : [];
  });
}

/** From a line such as `MemTotal:       24684096 kB`. */
function kilobytes(text: string, name: string): number | undefined {
  const line = text.split('\n').find((each) => each.startsWith(`${name}:`));
  return line === undefined ? undefined : parseInt(line.slice(name.length + 1), 10) * 1024;
}

/** A file of the kernel; undefined if it does not exist or cannot be read. */
function readText(root: string, file: string): string | undefined {
  try {
    return readFileSync(path.join(root, file), 'latin1');
  } catch {
    return undefined;
  }
}
