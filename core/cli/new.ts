/** `bedrock new`: writes a package with a new backend or provider type, ready to test and launch. */
import { readFile, realpath, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { packageRoot } from '../../native/load.js';
import { subcommand } from './command-line.js';
import { ofWrittenFile, UsageError } from './failure.js';
import { interruptible } from './interruption.js';
import { printLine } from './output.js';
import { namesFrom, withNames, writeTemplates } from './templates.js';

const EXAMPLES = `
Examples:
  bedrock new backend my-store                   regions in memory, in the folder my-store
  bedrock new backend my-store --persistent      regions in files, with recovery, a lock and crash tests
  bedrock new provider @acme/bedrock-provider-audit

Then: cd FOLDER, npm install, npm test, npm start.
`;

interface NewOptions {
  directory?: string;
  persistent?: boolean;
}

export function addNew(program: Command): void {
  const command = subcommand(program, 'new').description(
    'Write a package with a backend or provider of your own.',
  );
  const add = (what: 'backend' | 'provider', description: string): Command =>
    subcommand(command, what)
      .description(description)
      .argument(
        '<NAME>',
        'name of the package; the type is what follows bedrock-backend- or bedrock-provider- in it',
      )
      .option(
        '-d, --directory <DIR>',
        'where to write it (default: a folder of that name, without the scope)',
      )
      .addHelpText('after', EXAMPLES)
      .action((name: string, options: NewOptions) => write(what, name, options));
  add('backend', 'Write a package with a backend: a kind of target.').option(
    '--persistent',
    'keep the regions in files, instead of memory',
  );
  add('provider', 'Write a package with a provider type.');
}

async function write(what: 'backend' | 'provider', name: string, options: NewOptions): Promise<void> {
  const names = namesFrom(name);
  await refuseTaken(what, names.type);
  const folder = path.resolve(options.directory ?? name.replace(/^@[^/]*\//, ''));
  const templates = options.persistent === true ? [what, `${what}-persistent`] : [what];
  await interruptible((signal) =>
    writeTemplates(templates, folder, withNames(names), (staged) => nameThisPackage(staged, folder), signal),
  );
  const shown = path.relative(process.cwd(), folder) || '.';
  await printLine(
    `${shown}: a package with the ${what} type "${names.type}"\nnext: cd ${shown} && npm install && npm test && npm start`,
  );
}

/** Refuses a type that a daemon would refuse. @throws UsageError */
async function refuseTaken(what: 'backend' | 'provider', type: string): Promise<void> {
  // Loaded only now: the built-in types take a while to load.
  const { createContainer } = await import('../library/container.js');
  const { createLogger } = await import('../base/logging.js');
  const { API_VERSION } = await import('../contract/definitions.js');
  const { LibraryLoader } = await import('../library/library.js');
  const logger = createLogger({ level: 'off', format: 'text' });
  const { TypeRegistry } = await import('../library/registry.js');
  const registry = new TypeRegistry();
  for (const library of await new LibraryLoader(logger).loadBuiltIns(createContainer({ logger })))
    registry.addLibrary(library);
  const sample = { kind: what, apiVersion: API_VERSION, type, schema: {}, create: () => undefined };
  const fault = registry.add(sample, 'the package');
  if (fault !== undefined)
    throw new UsageError(`a package cannot have this name: it ${fault}; choose another`);
}

interface Manifest {
  peerDependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

/**
 * The new package depends on this version, and is developed with this copy, even if it is not from
 * a registry.
 */
async function nameThisPackage(staged: string, folder: string): Promise<void> {
  const file = path.join(staged, 'package.json');
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest;
  const root = await realpath(packageRoot());
  const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  manifest.peerDependencies['bedrock-node'] = `^${version}`;
  const local = await localSource(root);
  manifest.devDependencies['bedrock-node'] =
    local === undefined ? `^${version}` : `file:${path.relative(await realPlaceOf(folder), local)}`;
  await ofWrittenFile(path.join(folder, 'package.json'), () =>
    writeFile(file, `${JSON.stringify(manifest, null, 2)}\n`),
  );
}

/** For a folder that may not exist yet, while its parent does. */
async function realPlaceOf(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch {
    return path.join(await realpath(path.dirname(folder)), path.basename(folder));
  }
}

/** The folder or tarball that this package was installed from; undefined if it came from a registry. */
async function localSource(root: string): Promise<string | undefined> {
  const modules = path.dirname(root);
  if (path.basename(modules) !== 'node_modules') return root;
  try {
    const lock = JSON.parse(await readFile(path.join(modules, '.package-lock.json'), 'utf8')) as {
      packages?: Record<string, { resolved?: string }>;
    };
    const { resolved } = lock.packages?.['node_modules/bedrock-node'] ?? {};
    // Relative paths start at the project that it was installed in.
    if (resolved?.startsWith('file:') === true) return path.resolve(path.dirname(modules), resolved.slice(5));
  } catch {
    // Another package manager, which records it elsewhere.
  }
  return undefined;
}
