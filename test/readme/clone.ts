/**
 * A stand-in for a reader's clone of the repository: a folder with everything that the repository
 * has, in which files may be made and changed, with the commands that a reader has there.
 *
 * The entries are links, except bedrock.json, which is a copy, and data/, which is whoever's who
 * started a daemon here. `npx bedrock` and `bedrock` run what the build left; npx does so only in
 * the clone, as the real one knows the command only there.
 */
import { copyFile, mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MAIN } from '../fixtures/bedrock-process.js';

export const REPOSITORY = path.resolve(import.meta.dirname, '../..');

/** Where bedrock.json has its pools. */
const POOLS = 'data';

const RUN = `exec '${process.execPath}' '${MAIN}' "$@"\n`;
const NPX = `[ "$1" = bedrock ] || { echo "npx $1 is not known here" >&2; exit 127; }
grep -qs '"name": "bedrock-node"' package.json || { echo "npx would look for bedrock in the registry" >&2; exit 127; }
shift
`;

/**
 * What `npm install` fetches in a package that `bedrock new` made, or for a tarball of one; every
 * other command is npm's own.
 */
const NPM = `[ "$1" = install ] || exec '${path.join(path.dirname(process.execPath), 'npm')}' "$@"
mkdir -p node_modules/.bin
ln -sfn '${REPOSITORY}' node_modules/bedrock-node
ln -sf ../bedrock-node/dist/core/cli/main.js node_modules/.bin/bedrock
if [ $# -gt 1 ]; then
  name=$(tar -xOf "$2" package/package.json | sed -n 's/^ *"name": "\\(.*\\)",$/\\1/p')
  mkdir "node_modules/$name" && exec tar -xf "$2" -C "node_modules/$name" --strip-components=1
fi
for name in typescript @types json-schema-to-typescript; do ln -s '${REPOSITORY}/node_modules/'$name node_modules/$name; done
ln -s ../typescript/bin/tsc node_modules/.bin/tsc
`;

export class Clone {
  private constructor(
    readonly home: string,
    readonly repositoryBefore: readonly string[],
  ) {}

  /** The reader's working directory. */
  get folder(): string {
    return path.join(this.home, 'bedrock-node');
  }

  static async make(): Promise<Clone> {
    const home = await realpath(await mkdtemp(path.join(tmpdir(), 'bedrock-readme-')));
    const clone = new Clone(home, await readdir(REPOSITORY));
    for (const folder of ['tmp', 'bin', 'bedrock-node']) await mkdir(path.join(home, folder));
    for (const entry of clone.repositoryBefore) {
      const [from, to] = [path.join(REPOSITORY, entry), path.join(clone.folder, entry)];
      if (entry === 'bedrock.json') await copyFile(from, to);
      else if (!entry.startsWith('.') && entry !== POOLS) await symlink(from, to);
    }
    await writeFile(path.join(home, 'bin/bedrock'), `#!/bin/sh\n${RUN}`, { mode: 0o755 });
    await writeFile(path.join(home, 'bin/npx'), `#!/bin/sh\n${NPX}${RUN}`, { mode: 0o755 });
    await writeFile(path.join(home, 'bin/npm'), `#!/bin/sh\n${NPM}`, { mode: 0o755 });
    return clone;
  }

  /** Finds the commands, and puts temporary files and those of the home directory into `home`. */
  get env(): NodeJS.ProcessEnv {
    const { PATH = '' } = process.env;
    const folders = [path.join(this.home, 'bin'), path.dirname(process.execPath), PATH];
    // What npm hands to a script, its user's settings among it, a reader's shell does not have.
    const ofNpm = Object.keys(process.env).filter((name) => /^npm_/i.test(name));
    return {
      ...process.env,
      ...Object.fromEntries(ofNpm.map((name) => [name, undefined])),
      PATH: folders.join(path.delimiter),
      HOME: this.home,
      npm_config_update_notifier: 'false',
      NODE_TEST_CONTEXT: undefined,
      TMPDIR: path.join(this.home, 'tmp'),
      INIT_CWD: undefined,
    };
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(path.join(this.folder, name), text);
  }

  /** Files that have come up in the repository itself. */
  async strayFiles(): Promise<string[]> {
    return (await readdir(REPOSITORY)).filter((name) => !this.repositoryBefore.includes(name));
  }

  async remove(): Promise<void> {
    await rm(this.home, { recursive: true, force: true });
  }
}
