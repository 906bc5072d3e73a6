/** Stores that take part in-process: each in a process of its own, with a folder where its data lies. */
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Contender, buildReference } from '../contender.js';
import { makeFolder, removeFolder } from '../leftovers.js';
import { medianInTurns } from '../turns.js';

export const SHM = '/dev/shm';
export const DISK = tmpdir();
export const C = 'C pmem_memcpy_persist';

// A round is many short turns, as a short one is rarely interrupted on a machine that others use too.
const TURN_NANOS = 5e6;
const TURNS = 9;
const WARM_UPS = 6;
const WARM_UP_NANOS = 5e7;

export class InProcess {
  #folders = [];
  #contenders = new Map();

  /**
   * @param contenders by name {kind, on, isForced}: what it is, the folder it lies below, whether
   *   everything passes for persistent memory
   */
  static async start(contenders) {
    const started = new InProcess();
    try {
      for (const [name, { kind, on, isForced = false }] of Object.entries(contenders)) {
        const env = { ...process.env, PMEM_IS_PMEM_FORCE: isForced ? '1' : '0' };
        const args = [here('worker.js'), kind, started.#makeFolder(on)];
        started.#contenders.set(name, await Contender.start(process.execPath, args, env));
      }
    } catch (error) {
      await started.stop();
      throw error;
    }
    return started;
  }

  /** Adds the C program, with a file of its own that it maps. */
  async addReference() {
    const folder = this.#makeFolder(SHM);
    const binary = buildReference(folder);
    const env = { ...process.env, PMEM_IS_PMEM_FORCE: '1' };
    const maker = await Contender.start(
      process.execPath,
      [here('../native/worker.js'), `${folder}/own`],
      env,
    );
    await maker.ask('create-for-reference', 2 ** 26, 1);
    await maker.stop();
    this.#contenders.set(C, await Contender.start(binary, [`${folder}/own.reference`], env));
  }

  #makeFolder(on) {
    const folder = makeFolder(on);
    this.#folders.push(folder);
    return folder;
  }

  /** @returns {nanos, cpuNanos} of an operation: until it had ended, and of all threads of its process */
  async ask(name, operation, size, depth, times) {
    const contender = this.#contenders.get(name);
    if (name !== C) return contender.ask(operation, size, depth, times);
    const nanos = await contender.ask('copyPersist', size, times);
    return { nanos, cpuNanos: nanos };
  }

  /** @returns {micros, cpuMicros} of an operation, medians of all turns, by name */
  async measureInTurns(names, operation, size, depth, rounds) {
    const times = new Map();
    for (const name of names) {
      // At first nothing is compiled and no page was touched, so what an operation takes is known by and by.
      let { nanos } = await this.ask(name, operation, size, depth, 4 * depth);
      for (let run = 0; run < WARM_UPS; run++)
        ({ nanos } = await this.ask(name, operation, size, depth, timesFor(WARM_UP_NANOS, nanos, depth)));
      times.set(name, timesFor(TURN_NANOS, nanos, depth));
    }
    return medianInTurns(names, rounds * TURNS, async (name) => {
      const { nanos, cpuNanos } = await this.ask(name, operation, size, depth, times.get(name));
      return { micros: nanos / 1000, cpuMicros: cpuNanos / 1000 };
    });
  }

  async stop() {
    await Promise.all([...this.#contenders.values()].map((contender) => contender.stop()));
    for (const folder of this.#folders) removeFolder(folder);
  }
}

/**
 * Operations that take about so long together; on a disk several, as the first also waits for what
 * others have begun there.
 */
function timesFor(nanos, each, depth) {
  const least = depth === 1 ? 16 : 2;
  return depth * Math.max(least, Math.ceil(nanos / (each * depth)));
}

function here(relative) {
  return fileURLToPath(new URL(relative, import.meta.url));
}
