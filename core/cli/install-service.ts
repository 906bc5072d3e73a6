/**
 * `bedrock install-service`: writes what systemd needs to run a daemon: the unit, with `--socket` the units of its sockets, and a
 * configuration if there is none. It starts nothing, and says how to.
 */
import { access, mkdir, readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { homedir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import type { Command } from 'commander';
import { invalid } from '../base/errors.js';
import { parseConfig, readConfigFile } from '../config/document.js';
import {
  DEFAULT_PORT,
  formatHostPort,
  parseAddress,
  parseHostPort,
  parseSocketPath,
} from '../net/address.js';
import { subcommand } from './command-line.js';
import { ofWrittenFile, UsageError } from './failure.js';
import { firstConfig } from './init.js';
import { interruptible } from './interruption.js';
import { writeWholeFile } from './output-file.js';
import { printLine } from './output.js';
import { templateFolder } from './templates.js';

const EXAMPLES = `
Examples:
  bedrock install-service --dry-run       show what would be written
  sudo bedrock install-service            /etc/systemd/system/bedrock.service, /etc/bedrock/bedrock.json
  bedrock install-service --user          the same for your own services, below ~/.config
  sudo bedrock install-service -c /etc/bedrock/pmem.json --data /mnt/pmem0/bedrock --run-as storage

An existing configuration is not changed; an existing unit is replaced. Nothing is started: the last lines tell how.
`;

interface ServiceOptions {
  user?: boolean;
  dryRun?: boolean;
  config?: string;
  name: string;
  runAs?: string;
  data: string[];
  socket?: boolean;
}

interface PlannedFile {
  readonly path: string;
  readonly text: string;
}

export function addInstallService(program: Command): void {
  subcommand(program, 'install-service')
    .description('Write the systemd unit of a daemon, and its configuration if there is none.')
    .option('--user', 'for your own service manager, in place of the system')
    .option('--dry-run', 'print the files instead of writing them')
    .option('-c, --config <FILE>', 'the configuration (default: /etc/NAME/bedrock.json)')
    .option('--name <NAME>', 'name of the service, and of its folders', 'bedrock')
    .option('--run-as <USER>', 'the user that it runs as (default: one that systemd makes)')
    .option(
      '--data <DIR>',
      'a folder that it may write to; can be repeated',
      (one, all: string[]) => [...all, one],
      [],
    )
    .option('--socket', 'have systemd listen, and pass the sockets on')
    .addHelpText('after', EXAMPLES)
    .action(installService);
}

async function installService(options: ServiceOptions): Promise<void> {
  const { name, user: isUser = false, dryRun: isDry = false } = options;
  if (!/^[a-z][a-z0-9_-]{0,30}$/.test(name)) {
    throw new UsageError(`--name ${name}: lower-case letters, digits, "-" and "_" are possible, at most 31`);
  }
  if (options.runAs !== undefined && !/^([a-z_][\w-]{0,30}|\d{1,10})$/i.test(options.runAs)) {
    throw new UsageError(`--run-as ${options.runAs}: not the name or the number of a user`);
  }
  if (isUser && (options.runAs !== undefined || options.data.length > 0)) {
    throw new UsageError(
      '--user has neither --run-as nor --data: your own services run as you, with all your folders',
    );
  }
  const files = await plan(options);
  if (isDry) {
    await printLine(files.map(({ path: file, text }) => `==> ${file} <==\n${text}`).join('\n'));
    return;
  }
  for (const { path: file, text } of files) {
    await interruptible(async (signal) => {
      await ofWrittenFile(file, () => mkdir(path.dirname(file), { recursive: true }));
      await writeWholeFile(file, Readable.from([Buffer.from(text)]), signal);
    });
    await printLine(`${file}: written`);
  }
  const units = files
    .map(({ path: file }) => path.basename(file))
    .filter((file) => /\.(service|socket)$/.test(file));
  const control = `systemctl${isUser ? ' --user' : ''}`;
  await printLine(`start it with: ${control} daemon-reload && ${control} enable --now ${units.join(' ')}`);
}

async function plan(options: ServiceOptions): Promise<PlannedFile[]> {
  const { name, user: isUser = false } = options;
  const home = process.env.XDG_CONFIG_HOME ?? path.join(homedir(), '.config');
  const folder = isUser ? path.join(home, 'systemd/user') : '/etc/systemd/system';
  const config = path.resolve(
    options.config ?? (isUser ? path.join(home, name, 'bedrock.json') : `/etc/${name}/bedrock.json`),
  );
  const files: PlannedFile[] = [];
  if (!(await isThere(config))) {
    if (options.config !== undefined)
      throw new UsageError(`there is no file ${config}; bedrock init ${options.config} makes one`);
    files.push({ path: config, text: await firstConfig(path.dirname(config), stateFolder(name, isUser)) });
  }
  const service = await template(isUser ? 'user.service' : 'system.service', values(options, config));
  files.push({ path: path.join(folder, `${name}.service`), text: service });
  if (options.socket === true) {
    for (const [door, address] of await addressesOf(options, config, files)) {
      const socket = await template('sockets.socket', { DOOR: door, ...address, NAME: name });
      files.push({ path: path.join(folder, `${name}-${door}.socket`), text: socket });
    }
  }
  return files;
}

/** Where the first configuration keeps its pool. */
function stateFolder(name: string, isUser: boolean): string {
  if (!isUser) return `/var/lib/${name}`;
  return path.join(process.env.XDG_STATE_HOME ?? path.join(homedir(), '.local/state'), name);
}

function values(options: ServiceOptions, config: string): Record<string, string> {
  const { name, runAs } = options;
  const main = process.argv[1] ?? '';
  const exec = [process.execPath, main, 'start', '-c', config];
  const data = options.data.map((one) => path.resolve(one));
  const isAtHome = [...exec, ...data].some((file) => /^\/(home|root)\//.test(file));
  return {
    NAME: name,
    EXEC: exec.map(quoted).join(' '),
    USER: runAs === undefined ? `DynamicUser=yes\nUser=${name}` : `User=${runAs}`,
    PATHS: data.map((one) => `ReadWritePaths=${inQuotes(one.replaceAll('%', '%%'))}\n`).join(''),
    // A Node.js, a package or data in somebody's home must be found.
    HOME: isAtHome ? 'read-only' : 'yes',
  };
}

/** As systemd.service(5) wants it: `%` and `$` have a meaning there; elsewhere only `%` has. */
function quoted(word: string): string {
  return inQuotes(word.replaceAll('%', '%%').replaceAll('$', '$$$$'));
}

function inQuotes(word: string): string {
  return /^[\w@%+=:,./$-]+$/.test(word) ? word : `"${word.replaceAll(/["\\]/g, '\\$&')}"`;
}

async function template(file: string, replaced: Record<string, string>): Promise<string> {
  const text = await readFile(path.join(templateFolder('service'), file), 'utf8');
  return text.replaceAll(/@([A-Z]+)@/g, (_all, key: string) => replaced[key] ?? '');
}

/** What the units of the doors say, from the configuration. @throws CONFIG_INVALID, INVALID_ARGUMENT */
async function addressesOf(
  { runAs }: ServiceOptions,
  config: string,
  files: readonly PlannedFile[],
): Promise<Map<string, Record<'ADDRESS' | 'ACCESS', string>>> {
  const planned = files.find(({ path: file }) => file === config);
  const { root } =
    planned === undefined ? await readConfigFile(config) : parseConfig(planned.text, 'json', planned.path);
  const { margo, bedrock } = root as {
    margo?: { mercury?: { address?: string } };
    bedrock?: { resp?: { address?: string; unix?: string }; unix?: { mode?: string } };
  };
  const folder = path.dirname(config);
  // The default of systemd lets everybody connect.
  const owner = runAs === undefined ? '' : `\nSocketUser=${runAs}`;
  const access = `SocketMode=${bedrock?.unix?.mode ?? '0600'}${owner}`;
  const found = new Map<string, Record<'ADDRESS' | 'ACCESS', string>>();
  const add = (door: string, text: string, address: Address | string): void => {
    if (typeof address === 'string') throw invalid(`${text}: ${address}`);
    if (address.kind === 'tcp') found.set(door, { ADDRESS: streamOf(text, address), ACCESS: '' });
    else found.set(door, { ADDRESS: address.path.replaceAll('%', '%%'), ACCESS: access });
  };
  const http = margo?.mercury?.address ?? `http://127.0.0.1:${DEFAULT_PORT}`;
  add('http', http, parseAddress(http, folder));
  const { address: tcp, unix } = bedrock?.resp ?? {};
  if (tcp !== undefined) {
    const parsed = parseHostPort(tcp);
    add('resp', tcp, typeof parsed === 'string' ? parsed : { kind: 'tcp', ...parsed });
  }
  if (unix !== undefined) add('resp-unix', unix, parseSocketPath(unix, folder));
  return found;
}

type Address = { kind: 'tcp'; host: string; port: number } | { kind: 'unix'; path: string };

/** In the form of ListenStream=, which takes no names and not port 0. @throws INVALID_ARGUMENT */
function streamOf(text: string, { host, port }: { host: string; port: number }): string {
  if (port === 0) throw invalid(`${text}: a socket of systemd needs a port of its own`);
  const ip = host === 'localhost' ? '127.0.0.1' : host;
  if (isIP(ip) === 0) throw invalid(`${text}: a socket of systemd needs an IP address in place of ${host}`);
  return formatHostPort({ host: ip, port });
}

async function isThere(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false;
  }
}
