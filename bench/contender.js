/**
 * A process that is told an operation a line, and answers with a figure, or several in JSON:
 * contenders are measured in turn.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { noteChild } from './leftovers.js';

export class Contender {
  #child;
  #answers;

  constructor(child) {
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  static async start(program, args, env = process.env) {
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    noteChild(child);
    await once(child, 'spawn');
    return new Contender(child);
  }

  /** @returns what the process answers to the words in a line: nanoseconds an operation, as a rule */
  async ask(...words) {
    this.#child.stdin.write(`${words.join(' ')}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error(`${this.#child.spawnargs.join(' ')} ended at ${words.join(' ')}`);
    return JSON.parse(value);
  }

  async stop() {
    if (this.#child.exitCode !== null) return;
    this.#child.stdin.end();
    await once(this.#child, 'exit');
  }
}

/** Builds the C program that does by libpmem what native/reference.c says. @returns its path */
export function buildReference(folder) {
  const binary = path.join(folder, 'reference');
  const source = fileURLToPath(new URL('native/reference.c', import.meta.url));
  const compiled = spawnSync('cc', ['-O2', '-o', binary, source, '-lpmem'], { encoding: 'utf8' });
  if (compiled.status === 0) return binary;
  throw new Error(
    `the reference needs a C compiler and libpmem-dev: ${compiled.stderr ?? compiled.error?.message}`,
  );
}
