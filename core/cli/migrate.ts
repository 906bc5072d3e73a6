/**
 * `bedrock migrate`: moves a provider to another daemon or backend while it serves, shows
 * beforehand what this would do, or abandons it.
 */
import { type Command, InvalidArgumentError } from 'commander';
import { BedrockError, messageOf } from '../base/errors.js';
import { isRecord } from '../base/plain.js';
import type { Service } from '../client/service.js';
import type { OperationStatus } from '../contract/operation.js';
import { onDaemon, withAddress, type AddressOptions } from './client-command.js';
import { subcommand } from './command-line.js';
import { UsageError } from './failure.js';
import { countOf, printJson, printLine, table } from './output.js';
import { type Progress, trackProgress } from './progress.js';
import { formatSize } from '../base/size-text.js';
import { parseNatural, parseSize, SIZE_FORMS } from './sizes.js';

const EXAMPLES = `
Examples:
  bedrock migrate store http://other:7480
  bedrock migrate store http://127.0.0.1:7480 disk --dry-run
  bedrock migrate store resp://other:7481 --max-rate 50M --remove-source
  bedrock migrate store http://other:7480 --new-root /data/pools

The daemon of -a does the work, and connects to ADDRESS itself. Ctrl-C cancels it, and the provider
continues to serve. The same command continues an interrupted migration. See docs/migration.md.
`;

interface Options extends AddressOptions {
  transferSize?: number;
  maxRate?: number;
  maxHold?: number;
  removeSource?: boolean;
  newRoot?: string;
  mergeConfig?: Record<string, unknown>;
  abandon?: boolean;
  dryRun?: boolean;
  json?: boolean;
  quiet?: boolean;
}

/** The answer of POST /migration/plan. */
interface Plan {
  readonly address: string;
  readonly provider: string;
  readonly targets: readonly {
    readonly from: string;
    readonly to: string;
    readonly regions: number;
    readonly bytes: number;
    readonly freeBytes: number | null;
  }[];
  readonly regions: number;
  readonly bytes: number;
  readonly faults: readonly string[];
}

/** The result of the operation. With --abandon, it has only the member `abandoned`. */
interface Result {
  readonly address: string;
  readonly provider: string;
  readonly regions: number;
  readonly sentBytes: number;
  readonly holdMs: number;
}

export function addMigrate(program: Command): void {
  withAddress(subcommand(program, 'migrate'))
    .description('Move a provider to another daemon or backend while it serves.')
    .argument('<PROVIDER>', 'the provider that moves, by its name or id')
    .argument('<ADDRESS>', 'where to: the address of a daemon, as the source sees it')
    .argument('[DESTINATION]', 'the provider there, by its name or id (default: the name of PROVIDER)')
    .option('--dry-run', 'show what would be done, and whether it is possible')
    .option('--transfer-size <N>', `bytes of one request: ${SIZE_FORMS}`, parseSize)
    .option('--max-rate <N>', `bytes a second at most: ${SIZE_FORMS}`, parseSize)
    .option(
      '--max-hold <MS>',
      'how long changes may wait at the end, milliseconds (default: 2000)',
      parseNatural,
    )
    .option('--remove-source', 'delete the data at the source when the destination serves it')
    .option(
      '--new-root <DIR>',
      'create DESTINATION if it does not exist, with the files of its targets in this folder',
    )
    .option(
      '--merge-config <JSON>',
      'create DESTINATION if it does not exist, with these changes of the settings (JSON merge patch)',
      parseObject,
    )
    .option('--abandon', 'give up an unfinished migration')
    .option('--json', 'an object: the operation, or with --dry-run the plan')
    .option('-q, --quiet', 'no progress bar')
    .addHelpText('after', EXAMPLES)
    .action((provider: string, address: string, destination: string | undefined, options: Options) => {
      if (options.dryRun === true && options.abandon === true)
        throw new UsageError('--dry-run and --abandon exclude each other');
      return onDaemon(options, async (service, { signal }) => {
        const request = { address, provider: destination ?? service.provider(provider).name };
        if (options.dryRun === true) await plan(service, provider, request, options, signal);
        else await migrate(service, provider, request, options, signal);
      });
    });
}

interface Request {
  readonly address: string;
  readonly provider: string;
}

async function plan(
  service: Service,
  name: string,
  request: Request,
  { json, maxRate = 0, newRoot, mergeConfig }: Options,
  signal: AbortSignal,
): Promise<void> {
  const options = successorOptions({ newRoot, mergeConfig });
  const { provider, ...answer } = await service
    .provider(name)
    .request<Plan>({ method: 'POST', path: '/migration/plan', json: { ...request, options }, signal });
  const seconds = maxRate === 0 ? undefined : Math.ceil(answer.bytes / maxRate);
  if (json === true)
    await printJson({ provider, ...answer, ...(seconds !== undefined && { leastSeconds: seconds }) });
  else {
    const rows = answer.targets.map(({ from, to, regions, bytes, freeBytes }, index) => [
      String(index),
      from,
      to,
      String(regions),
      formatSize(bytes),
      freeBytes === null ? 'unknown' : formatSize(freeBytes),
    ]);
    const heads = ['TARGET', 'FROM', 'TO', 'REGIONS', 'SIZE', 'FREE'];
    await printLine(table([heads, ...rows], ['REGIONS', 'SIZE', 'FREE']));
    const atRate = seconds === undefined ? '' : `, in ${seconds} s at least`;
    await printLine(
      `would move ${countOf(answer.regions, 'region')}, ${formatSize(answer.bytes)}, to provider "${provider}" at ${answer.address}${atRate}`,
    );
  }
  if (answer.faults.length > 0)
    throw new BedrockError('CONFLICT', `the migration would be refused: ${answer.faults.join('; ')}`);
}

async function migrate(
  service: Service,
  name: string,
  request: Request,
  options: Options,
  signal: AbortSignal,
): Promise<void> {
  const { transferSize, maxRate, maxHold, removeSource, newRoot, mergeConfig, abandon, json, quiet } =
    options;
  const bar = new OperationBar(quiet);
  let status: OperationStatus;
  try {
    status = await service.provider(name).migrate(
      {
        ...request,
        options: {
          ...(transferSize !== undefined && { transfer_size: transferSize }),
          ...(maxRate !== undefined && { max_bytes_per_second: maxRate }),
          ...(maxHold !== undefined && { max_hold_ms: maxHold }),
          ...(removeSource === true && { remove_source: true }),
          ...successorOptions({ newRoot, mergeConfig }),
          ...(abandon === true && { abandon: true }),
        },
      },
      { signal, onProgress: (now) => bar.show(now) },
    );
  } finally {
    bar.end();
  }
  if (json === true) return printJson(status);
  if (abandon === true)
    return printLine(`abandoned: provider "${name}" serves, and the destination is empty`);
  const { address, provider, regions, sentBytes, holdMs } = status.result as Result;
  await printLine(
    `moved ${countOf(regions, 'region')}, ${formatSize(sentBytes)} sent, to provider "${provider}" at ${address}; changes waited ${holdMs} ms`,
  );
}

function successorOptions({
  newRoot,
  mergeConfig,
}: {
  newRoot: string | undefined;
  mergeConfig: Record<string, unknown> | undefined;
}): Record<string, unknown> {
  return {
    ...(newRoot !== undefined && { new_root: newRoot }),
    ...(mergeConfig !== undefined && { merge_config: mergeConfig }),
  };
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InvalidArgumentError(`It is not JSON: ${messageOf(cause)}`);
  }
  if (isRecord(value)) return value;
  throw new InvalidArgumentError('It takes a JSON object.');
}

/** A progress bar of an operation, from when its size is known. */
class OperationBar {
  #progress: Progress | undefined;
  #shown = 0;

  constructor(private readonly isQuiet: boolean | undefined) {}

  show({ type, doneBytes, totalBytes }: OperationStatus): void {
    if (totalBytes === undefined) return;
    this.#progress ??= trackProgress(`${type}:`, totalBytes, this.isQuiet, true);
    // Bytes that are sent again can make the sum larger than the total.
    const done = Math.min(doneBytes, totalBytes);
    this.#progress.add(done - this.#shown);
    this.#shown = done;
  }

  end(): void {
    this.#progress?.end();
  }
}
