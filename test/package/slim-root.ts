/**
 * A root of its own for chroot(8), as a slim container has it: the C and C++ libraries, a shell, a Node.js, and no compiler. It is made
 * of files of this machine, so that it needs no network.
 */
import { execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { BedrockProcess } from '../fixtures/bedrock-process.js';

const exec = promisify(execFile);

/** For the packages' lifecycle scripts, and for a Dockerfile. */
const COMMANDS = ['sh', 'env', 'cat', 'rm', 'mkdir', 'ls', 'true'];

/** With /proc, as every container has it: in a name space of its own, so that nothing is left of it. */
const ENTER = 'root=$1; shift; mount -t proc proc "$root/proc" && exec chroot "$root" "$@"';

export interface Ended {
  status: number;
  output: string;
}

export class SlimRoot {
  private constructor(readonly folder: string) {}

  /** @param node the Node.js that it gets as /usr/bin/node */
  static async make(node: string): Promise<SlimRoot> {
    const root = new SlimRoot(mkdtempSync(path.join(tmpdir(), 'bedrock-root-')));
    // Whoever runs something there has to get in.
    chmodSync(root.folder, 0o755);
    for (const folder of ['tmp', 'etc', 'dev', 'proc', 'usr/bin', 'bin', 'data']) {
      mkdirSync(root.at(folder), { recursive: true });
    }
    writeFileSync(root.at('etc/passwd'), 'root:x:0:0::/:/bin/sh\nbedrock:x:999:999::/data:/bin/sh\n');
    writeFileSync(root.at('etc/hosts'), '127.0.0.1 localhost\n');
    await exec('mknod', ['-m', '666', root.at('dev/null'), 'c', '1', '3']);
    await root.addFile(node, 'usr/bin/node');
    for (const name of COMMANDS) {
      const { stdout } = await exec('sh', ['-c', `command -v -p ${name} || command -v ${name}`]);
      const file = path.isAbsolute(stdout.trim()) ? stdout.trim() : `/bin/${name}`;
      await root.addFile(file, `usr/bin/${name}`);
    }
    symlinkSync('../usr/bin/sh', root.at('bin/sh'));
    return root;
  }

  at(name: string): string {
    return path.join(this.folder, name);
  }

  /** Copies a program or a library, and the libraries that it is linked with to where it looks for them. */
  async addFile(from: string, to: string): Promise<void> {
    mkdirSync(path.dirname(this.at(to)), { recursive: true });
    copyFileSync(from, this.at(to));
    const { stdout } = await exec('ldd', [from]);
    for (const [, file = ''] of stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(/gm)) {
      if (existsSync(this.at(file))) continue;
      mkdirSync(path.dirname(this.at(file)), { recursive: true });
      copyFileSync(file, this.at(file));
    }
  }

  /** Runs a command in the root to its end. */
  async run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const { status, stdout, stderr } = await this.start(command, args, env).exit;
    return { status: status ?? -1, output: stdout + stderr };
  }

  /** Starts a command in the root. `killAll` ends it. */
  start(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): BedrockProcess {
    return new BedrockProcess(
      spawn('unshare', ['--mount', 'sh', '-c', ENTER, 'sh', this.folder, command, ...args], {
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/tmp', ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Where npm's own JavaScript is; undefined if it cannot be found. */
export async function npmFolder(): Promise<string | undefined> {
  try {
    const { stdout } = await exec('npm', ['root', '--global']);
    const folder = path.join(stdout.trim(), 'npm');
    return existsSync(path.join(folder, 'bin/npm-cli.js')) ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** The file of libpmem that this machine's processes use; undefined if it has none. */
export function libpmemFile(attributes: { libpmemPath: string | null } | undefined): string | undefined {
  const file = attributes?.libpmemPath ?? undefined;
  return file !== undefined && readFileSync(file).length > 0 ? file : undefined;
}
