/** `bedrock provider` and `bedrock dependency`: changes of the providers of a running daemon. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { ProviderConfig } from '../../schemas/generated/bedrock.js';
import { parseConfig } from '../config/document.js';
import { configError } from '../validation/issues.js';
import { type AddressOptions, onDaemon, withAddress } from './client-command.js';
import { subcommand } from './command-line.js';
import { ofNamedFile, UsageError } from './failure.js';
import { printLine } from './output.js';
import { addProviderList } from './providers.js';

const ADD_EXAMPLES = `
FILE holds one entry of "providers", as in a configuration: JSON with comments, or TOML if its name ends in .toml; - is standard
input. Relative paths in it are relative to the folder of the daemon's configuration.

Examples:
  bedrock provider add scratch.json
  echo '{"type": "warabi", "config": {"target": {"type": "memory", "config": {}}}}' | bedrock provider add -
  bedrock provider add store2.json --before notes     so that notes can depend on it
`;

const RM_EXAMPLES = `
Requests in flight at the provider end first. A provider that others depend on is refused. Its stored data is kept.

Examples:
  bedrock provider rm scratch
`;

const SET_POOL_EXAMPLES = `
New requests queue in that pool; those that already wait stay in the pool that they wait in.

Examples:
  bedrock provider set-pool scratch background
`;

const SET_EXAMPLES = `
The type of the provider must declare the dependency updatable. A dependency that is a list gets all the references.

Examples:
  bedrock dependency set notes store second
  bedrock dependency set notes store 'second@http://node2:7480'
  bedrock dependency set notes replicas --list first
`;

export function addProvider(program: Command): void {
  const provider = subcommand(program, 'provider').description('Change the providers of a running daemon.');

  withAddress(subcommand(provider, 'add'))
    .description('Start another provider.')
    .argument('<FILE>', 'its entry of a configuration; - is standard input')
    .option('--before <PROVIDER>', 'add it before this provider (default: at the end)')
    .addHelpText('after', ADD_EXAMPLES)
    .action(async (file: string, options: AddressOptions & { before?: string }) => {
      const entry = await readEntry(file);
      await onDaemon(options, async (service, call) => {
        const { before } = options;
        const added = await service.addProvider(entry, { ...call, ...(before !== undefined && { before }) });
        await printLine(`${added.name} (${added.providerId}) is ${added.state}`);
      });
    });

  withAddress(subcommand(provider, 'rm'))
    .description('Stop and remove a provider.')
    .argument('<PROVIDER>', 'its name or id')
    .addHelpText('after', RM_EXAMPLES)
    .action((name: string, options: AddressOptions) =>
      onDaemon(options, (service, call) => service.removeProvider(name, call)),
    );

  addProviderList(provider, 'ls');

  withAddress(subcommand(provider, 'set-pool'))
    .description('Make a provider use another execution pool.')
    .argument('<PROVIDER>', 'its name or id')
    .argument('<POOL>', 'name of the execution pool')
    .addHelpText('after', SET_POOL_EXAMPLES)
    .action((name: string, pool: string, options: AddressOptions) =>
      onDaemon(options, (service, call) => service.changeProvider(name, { pool }, call)),
    );
}

export function addDependency(program: Command): void {
  const dependency = subcommand(program, 'dependency').description(
    'Change the dependencies of running providers.',
  );

  withAddress(subcommand(dependency, 'set'))
    .description('Make a provider use another dependency.')
    .argument('<PROVIDER>', 'its name or id')
    .argument('<DEPENDENCY>', 'key of the dependency in the configuration')
    .argument('<REFERENCE...>', 'what it depends on from now on; several make a list')
    .option('--list', 'pass a list, even for one reference')
    .addHelpText('after', SET_EXAMPLES)
    .action(
      (name: string, key: string, references: string[], options: AddressOptions & { list?: boolean }) => {
        const [only = ''] = references;
        const reference = references.length === 1 && options.list !== true ? only : references;
        return onDaemon(options, (service, call) =>
          service.changeProvider(name, { dependencies: { [key]: reference } }, call),
        );
      },
    );
}

/** @throws CONFIG_INVALID, UsageError */
async function readEntry(file: string): Promise<ProviderConfig> {
  const source = file === '-' ? '<stdin>' : file;
  const content =
    file === '-' ? await text(process.stdin) : await ofNamedFile(file, () => readFile(file, 'utf8'));
  const format = path.extname(file).toLowerCase() === '.toml' ? 'toml' : 'json';
  const { root, issues } = parseConfig(content, format, source);
  if (issues.length > 0) throw configError(source, issues);
  if ('providers' in root)
    throw new UsageError(
      `${source} is a whole configuration; give one entry of its "providers", or use bedrock reload`,
    );
  return root as unknown as ProviderConfig;
}
