/** One bash for many commands: variables and the working directory carry over, as in a reader's terminal. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Writable } from 'node:stream';

export interface CommandResult {
  status: number;
  /** Standard output and standard error, in the order of a terminal. */
  output: string;
}

/** Commands come by descriptor 3, so that none of them reads the next one from its standard input. */
const LOOP = `while IFS= read -r -d '' -u 3 __command; do
  eval "$__command" < /dev/null 2>&1
  printf '%s %s\\n' "$__mark" "$?"
done`;

export class Shell {
  readonly #child: ChildProcess;
  readonly #mark = randomUUID();
  #output = '';
  #isOver = false;
  /** Nothing of its process group is left, so that the number may come to others. */
  #isGone = false;
  /** Looks whether what a command waits for has come. */
  #look: () => void = () => undefined;

  constructor(cwd: string, env: NodeJS.ProcessEnv) {
    // In a process group of its own, by which `end` finds what is left.
    this.#child = spawn('bash', ['--noprofile', '--norc', '-c', LOOP], {
      cwd,
      env: { ...env, __mark: this.#mark },
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
      detached: true,
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (piece: string) => {
      this.#output += piece;
      this.#look();
    });
    this.#child.on('exit', () => {
      this.#isOver = true;
      this.#look();
    });
    this.#commands.on('error', () => undefined);
  }

  get #commands(): Writable {
    return this.#child.stdio[3] as Writable;
  }

  /** Runs a command to its end. @throws if it ends the shell */
  run(command: string): Promise<CommandResult> {
    const end = new RegExp(`${this.#mark} (\\d+)\\n`);
    return new Promise((resolve, reject) => {
      this.#look = () => {
        const found = end.exec(this.#output);
        if (found !== null) {
          resolve({ output: this.#output.slice(0, found.index), status: Number(found[1]) });
          this.#output = this.#output.slice(found.index + found[0].length);
        } else if (this.#isOver) {
          reject(new Error(`the shell ended in ${command}\n${this.#output}`));
        }
      };
      this.#commands.write(`${command}\0`);
      this.#look();
    });
  }

  /** Ends the shell. @returns whether it left no process behind; those that it did are killed */
  async end(): Promise<boolean> {
    if (!this.#isOver) {
      const exit = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#commands.end();
      await exit;
    }
    return !this.kill();
  }

  /** Kills the shell and what it started. @returns whether there was anything left of it */
  kill(): boolean {
    if (this.#isGone || this.#child.pid === undefined) return false;
    this.#isGone = true;
    try {
      return process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      return false;
    }
  }
}
