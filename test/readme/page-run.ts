/**
 * Runs the fenced blocks of a page in order, as a reader who follows it would, and fails where the
 * page is wrong.
 *
 * | block           | what is done with it                                                                      |
 * | --------------- | ----------------------------------------------------------------------------------------- |
 * | `sh`            | runs in the reader's shell; comments are the output                                       |
 * | `console`       | the same in the form of a terminal                                                        |
 * | `sh daemon`     | launches a daemon in the other shell, in place of the one that ran; comments explain      |
 * | `sh each`       | commands that run each for itself; a daemon is stopped when it is ready; comments explain |
 * | no language     | lines of the daemon's log                                                                 |
 * | `js`            | a file, which its first line names; a later block must use it                             |
 * | `json`          | a file likewise, or without a name a whole configuration, which is validated and started  |
 * | `json fragment` | part of a configuration; it must parse                                                    |
 * | `jx9`           | a script of the model, which nothing here runs                                            |
 *
 * Times at the beginning of the log's lines are left aside on both sides. Everything else fails.
 * Daemons listen at a port that is free: what the page calls http://127.0.0.1:7480 is the real
 * address in commands and files, and the other way round in output. So is the port 7481 of the
 * Redis protocol.
 */
import { readFileSync, existsSync } from 'node:fs';
import path from 'node:path';
import { parse, type ParseError } from 'jsonc-parser';
import { bootstrap, checkConfig } from '../../core/index.js';
import { withoutTimes } from '../fixtures/log-times.js';
import { bedrock, startScript, type BedrockProcess, type Exit } from '../fixtures/bedrock-process.js';
import { Clone, REPOSITORY } from './clone.js';
import {
  consoleCommands,
  holdsDocumented,
  isAsDocumented,
  shellCommands,
  type DocumentedCommand,
} from './documented-commands.js';
import type { FencedBlock } from './fenced-blocks.js';
import { Shell } from './shell.js';

const DOCUMENTED_ADDRESS = 'http://127.0.0.1:7480';
const FREE_PORT = 'http://127.0.0.1:0';
const DOCUMENTED_RESP_PORT = '7481';
const FREE_RESP_PORT = '127.0.0.1:0';

/** Output that documents a failure. */
const COMPLAINT = /^error [A-Z_]+: /;

export class PageRun {
  /** The daemon that the page speaks of. */
  #daemon: BedrockProcess | undefined;
  #address = '';
  /** Its port of the Redis protocol; the documented one if it does not speak that. */
  #respPort = DOCUMENTED_RESP_PORT;
  /** Files that blocks have made, and whether something used them. */
  readonly #files = new Map<string, boolean>();

  private constructor(
    readonly clone: Clone,
    readonly shell: Shell,
  ) {}

  static async begin(): Promise<PageRun> {
    const clone = await Clone.make();
    return new PageRun(clone, new Shell(clone.folder, clone.env));
  }

  /** @throws if the page is wrong there */
  async run(block: FencedBlock): Promise<void> {
    const { language, role, text } = block;
    const kind = `${language} ${role}`.trim();
    if (kind === 'sh') return this.#runInShell(shellCommands(text));
    if (kind === 'console') return this.#runInShell(consoleCommands(text));
    if (kind === 'sh daemon') return this.#replaceDaemon(shellCommands(text));
    if (kind === 'sh each') return this.#runEach(shellCommands(text));
    if (kind === 'js') return this.#writeFile(nameOf(text), text);
    if (kind === 'json') return this.#takeConfig(text);
    if (kind === 'json fragment') return parseFragment(text);
    if (kind === 'jx9') return;
    if (kind === '') return this.#compareLog(text);
    throw new Error(`nothing runs a block of the kind "${kind}": ${block.place}`);
  }

  /** Stops everything. @throws if something is left, or a file was of no use */
  async end(): Promise<void> {
    const faults: string[] = [];
    if (!(await this.shell.end())) faults.push('commands left processes behind');
    await this.#stopDaemon().catch((error: unknown) => faults.push(String(error)));
    for (const [name, isUsed] of this.#files) if (!isUsed) faults.push(`no block uses ${name}`);
    for (const name of await this.clone.strayFiles()) faults.push(`${name} was left in the repository`);
    await this.clone.remove();
    if (faults.length > 0) throw new Error(faults.join('\n'));
  }

  /** Gives back what a run that did not end has; its daemons are left to `killAll`. */
  async abandon(): Promise<void> {
    this.shell.kill();
    await this.clone.remove();
  }

  // ---- the reader's shell ----

  async #runInShell(commands: readonly DocumentedCommand[]): Promise<void> {
    if (this.#daemon === undefined) await this.#replaceDaemon([{ command: 'npm start', output: [] }]);
    for (const { command, output } of commands) {
      this.#noteUse(command);
      const result = await this.shell.run(this.#real(command));
      const printed = this.#documented(result.output);
      const mayFail = COMPLAINT.test(output[0] ?? '');
      if (isAsDocumented(output, printed) && (result.status !== 0) === mayFail) continue;
      throw new Error(
        [`$ ${command}`, '-- as documented:', ...output, `-- status ${result.status}:`, printed].join('\n'),
      );
    }
  }

  // ---- daemons ----

  async #replaceDaemon(commands: readonly DocumentedCommand[]): Promise<void> {
    for (const { command } of commands) {
      const launch = this.#launcher(command);
      if (launch === undefined) continue;
      await this.#stopDaemon();
      this.#daemon = launch();
      this.#address = await this.#daemon.address();
      const [, respPort] = /listening on resps?:\/\/\S+:(\d+)/.exec(this.#daemon.stdout) ?? [];
      this.#respPort = respPort ?? DOCUMENTED_RESP_PORT;
      // The reader's URLs stay right: there the port is the same each time.
      for (const name of ['URL', 'NAMES'])
        await this.shell.run(`${name}=\${${name}/"$BEDROCK_ADDRESS"/${this.#address}}`);
      await this.shell.run(`export BEDROCK_ADDRESS=${this.#address}`);
    }
  }

  async #runEach(commands: readonly DocumentedCommand[]): Promise<void> {
    const exits = commands.map(async ({ command }) => {
      const started = this.#launcher(command)?.();
      // What ends by itself never gets ready.
      await started?.line(/ready: /).then(
        () => started.signal('SIGTERM'),
        () => undefined,
      );
      if (started !== undefined) expectCleanExit(command, await started.exit);
    });
    await Promise.all(exits);
  }

  /** What starts a daemon as the command says; nothing for `npm test`, as that runs this very test. */
  #launcher(command: string): (() => BedrockProcess) | undefined {
    this.#noteUse(command);
    const options = { cwd: this.clone.folder, env: this.clone.env };
    const [program, what = '', ...rest] = command.split(/\s+/);
    if (program === 'npx' && what === 'bedrock') return () => bedrock(onFreePort(rest), options);
    if (program !== 'npm' || (rest.length > 0 && rest[0] !== '--'))
      throw new Error(`no command that launches a daemon: ${command}`);
    const script = scriptOf(what);
    if (what === 'test') return undefined;
    if (script !== 'scripts/start.js') throw new Error(`${script} launches no daemon`);
    const args = rest.length > 1 ? rest.slice(1) : ['-c', 'bedrock.json'];
    return () => startScript(onFreePort(args), options);
  }

  /** By Ctrl-C, as a reader does; or it has been told to stop by a command. */
  async #stopDaemon(): Promise<void> {
    const daemon = this.#daemon;
    if (daemon === undefined) return;
    this.#daemon = undefined;
    if (!daemon.stdout.includes('[bedrock] stopping')) daemon.signal('SIGINT');
    expectCleanExit('the daemon', await daemon.exit);
  }

  #compareLog(text: string): void {
    const log = this.#documented(withoutTimes(this.#daemon?.stdout ?? ''));
    if (!holdsDocumented(withoutTimes(text).split('\n'), log))
      throw new Error(`the daemon's log is:\n${log}`);
  }

  // ---- files ----

  async #takeConfig(text: string): Promise<void> {
    const name = /^\/\/ \S+$/m.test(text.split('\n')[0] ?? '') ? nameOf(text) : undefined;
    if (name !== undefined) {
      const free = text.replaceAll(DOCUMENTED_ADDRESS, FREE_PORT);
      return this.#writeFile(name, free.replaceAll(`127.0.0.1:${DOCUMENTED_RESP_PORT}`, FREE_RESP_PORT));
    }
    await this.clone.write('block.json', text);
    const file = path.join(this.clone.folder, 'block.json');
    await checkConfig(file, { logLevel: 'off' });
    const daemon = await bootstrap(file, {
      address: FREE_PORT,
      respAddress: FREE_RESP_PORT,
      logLevel: 'off',
    });
    const states = daemon.providers.map(({ state }) => state);
    await daemon.close();
    if (states.some((state) => state !== 'running')) throw new Error(`providers: ${states.join(', ')}`);
  }

  async #writeFile(name: string, text: string): Promise<void> {
    this.#noteUse(text.replace(name, ''));
    this.#files.set(name, this.#files.get(name) ?? false);
    await this.clone.write(name, `${this.#real(text)}\n`);
  }

  #real(text: string): string {
    return text
      .replaceAll(DOCUMENTED_ADDRESS, this.#address)
      .replace(new RegExp(`\\b${DOCUMENTED_RESP_PORT}\\b`, 'g'), this.#respPort);
  }

  #documented(text: string): string {
    return text
      .replaceAll(this.#address, DOCUMENTED_ADDRESS)
      .replace(
        new RegExp(`(127\\.0\\.0\\.1|localhost):${this.#respPort}\\b`, 'g'),
        `$1:${DOCUMENTED_RESP_PORT}`,
      );
  }

  #noteUse(text: string): void {
    const words = text.split(/[^\w.-]+/);
    for (const name of this.#files.keys()) if (words.includes(name)) this.#files.set(name, true);
  }
}

/** @throws if the first line of a file is no comment with its name */
function nameOf(text: string): string {
  const [, name] = /^\/\/ ([\w.-]+\.js(?:on)?)\n/.exec(text) ?? [];
  if (name === undefined) throw new Error('the first line must be the name of the file: // name.js');
  if (existsSync(path.join(REPOSITORY, name))) throw new Error(`${name} is in the repository already`);
  return name;
}

/** The file that a script of package.json runs. @throws if there is none */
function scriptOf(name: string): string {
  const manifest = readFileSync(path.join(REPOSITORY, 'package.json'), 'utf8');
  const { scripts } = JSON.parse(manifest) as { scripts: Record<string, string> };
  const [, file = ''] = /^exec node (scripts\/\S+\.js)/.exec(scripts[name] ?? '') ?? [];
  if (!existsSync(path.join(REPOSITORY, file)) || file === '')
    throw new Error(`npm run ${name} runs nothing`);
  return file;
}

/** With free ports, unless an address is given or none is needed. */
function onFreePort(args: readonly string[]): string[] {
  if (args.includes('--help')) return [...args];
  const hasAddress = args.some((arg) => /^(http|unix):/.test(arg));
  // Of the configurations that pages speak of it is the one with the Redis protocol.
  const speaksResp = args.includes('bedrock.json') && !args.includes('--resp-address');
  return [
    ...args,
    ...(hasAddress ? [] : [FREE_PORT]),
    ...(speaksResp ? ['--resp-address', FREE_RESP_PORT] : []),
  ];
}

function expectCleanExit(what: string, { status, stdout, stderr }: Exit): void {
  if (status === 0 && stderr === '') return;
  throw new Error(`${what} ended with status ${String(status)}:\n${stdout}${stderr}`);
}

function parseFragment(text: string): void {
  const errors: ParseError[] = [];
  const trimmed = text.trim();
  const parsed: unknown = parse(/^[[{]/.test(trimmed) ? trimmed : `{${trimmed}\n}`, errors, {
    allowTrailingComma: true,
  });
  if (errors.length > 0 || parsed === undefined) throw new Error(`no JSON: ${JSON.stringify(errors)}`);
}
