/**
 * `bedrock region create`, `write`, `read`: contents of any length, streamed between a region and a
 * file or a pipe.
 */
import type { Command } from 'commander';
import { BedrockError } from '../base/errors.js';
import { isInstance } from '../base/plain.js';
import type { RegionRef } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { CallOptions, RemoteTarget } from '../contract/remote-provider.js';
import type { RegionSource } from '../contract/target.js';
import {
  onTarget,
  parseName,
  parseRegion,
  REGION_FORMS,
  type TargetOptions,
  withTarget,
} from './client-command.js';
import { subcommand } from './command-line.js';
import { UsageError } from './failure.js';
import { isStdinGiven, openContents, openUnnamedStdin, resume } from './input.js';
import { writeStdout, writeWholeFile } from './output-file.js';
import { printJson, printLine } from './output.js';
import { trackProgress } from './progress.js';
import { parseSize, SIZE_FORMS } from './sizes.js';

const CREATE_EXAMPLES = `
Examples:
  bedrock region create --size 1G                        1 GiB of zeros
  bedrock region create results.tar --persist            from a file
  bedrock region create < results.tar                    the same
  tar c results | bedrock region create - --size 20480   from a pipe, which has no known length
  id=$(bedrock region create --size 64K -p store)

The region appears only when all of its contents are there, and they must be exactly as many bytes as --size says. If
standard input is a pipe or a file, it is used as the contents even without -. If it has no bytes, as with < /dev/null, the region is
all zeros.
`;

const WRITE_EXAMPLES = `
Examples:
  bedrock region write ID patch.bin --offset 4K
  printf hello | bedrock region write ID --size 5 --persist

Bounds are checked before the first byte. If the contents end early, the bytes that were sent are written.
`;

const READ_EXAMPLES = `
Examples:
  bedrock region read ID -o results.tar
  bedrock region read ID | tar t
  bedrock region read ID --offset 1M --length 512 | xxd

With -o the file appears under its name only when it is complete.
`;

export interface TransferOptions extends TargetOptions {
  quiet?: boolean;
}
interface SendOptions extends TransferOptions {
  size?: number;
  persist?: boolean;
}
type CreateOptions = SendOptions & { json?: boolean; name?: string };
type WriteOptions = SendOptions & { offset: number };
interface ReadOptions extends TransferOptions {
  offset: number;
  length?: number;
  output?: string;
}

export function addCreate(region: Command): void {
  transferCommand(region, 'create')
    .description('Create a region, all zero or with contents, and print its ID.')
    .argument('[FILE]', 'the contents; - is standard input')
    .option('--size <N>', `size of the region: ${SIZE_FORMS}`, parseSize)
    .option('--name <NAME>', 'a name for it, which must be free', parseName)
    .option('--persist', 'return only when the contents are durable')
    .option('--json', 'print {"id", "size"} instead of the ID')
    .addHelpText('after', CREATE_EXAMPLES)
    .action(async (file: string | undefined, options: CreateOptions) => {
      const contents = await contentsToCreate(file, options.size);
      await onTarget(options, async (target, call) => {
        const id = await create(target, contents, options, call);
        if (options.json === true) await printJson({ id, size: contents.size });
        else await printLine(id.toString());
      });
    });
}

export function addWrite(region: Command): void {
  transferCommand(region, 'write')
    .description('Overwrite a part of a region.')
    .argument('<REGION>', REGION_FORMS, parseRegion)
    .argument('[FILE]', 'the new contents; - or nothing is standard input')
    .option('--offset <N>', `where to begin: ${SIZE_FORMS}`, parseSize, 0)
    .option('--size <N>', 'number of bytes; required for a pipe', parseSize)
    .option('--persist', 'return only when they are durable')
    .addHelpText('after', WRITE_EXAMPLES)
    .action(async (ref: RegionRef, file: string | undefined, options: WriteOptions) => {
      if (file === undefined && !isStdinGiven())
        throw new UsageError('there is nothing to write; name a file, or - for standard input');
      const contents = await openContents(file ?? '-', options.size);
      await onTarget(options, async (target, call) => {
        const send = (source: RegionSource): Promise<void> =>
          target.writeFrom(ref, options.offset, source, persistOf(options), call);
        await withProgress('writing', contents, options, send);
      });
    });
}

export function addRead(region: Command): void {
  transferCommand(region, 'read')
    .description('Copy a region, or a part of it, to standard output or a file.')
    .argument('<REGION>', REGION_FORMS, parseRegion)
    .option('--offset <N>', `where to begin: ${SIZE_FORMS}`, parseSize, 0)
    .option('--length <N>', 'how many bytes (default: up to the end)', parseSize)
    .option('-o, --output <FILE>', 'write to a file; - is standard output')
    .addHelpText('after', READ_EXAMPLES)
    .action((ref: RegionRef, options: ReadOptions) =>
      onTarget(options, async (target, call) => {
        const contents = await openRegion(target, ref, options, call);
        await writeOut(contents, options.output, options, call.signal);
      }),
    );
}

export function transferCommand(parent: Command, name: string): Command {
  return withTarget(subcommand(parent, name)).option('-q, --quiet', 'no progress bar');
}

/** A region to create: with contents, or empty. */
type NewRegion = RegionSource | { size: number; source: undefined };

async function contentsToCreate(file: string | undefined, size: number | undefined): Promise<NewRegion> {
  if (file !== undefined) return openContents(file, size);
  if (size === undefined) {
    if (isStdinGiven()) return openContents('-', size);
    throw new UsageError(
      'give --size for an empty region, or name a file with its contents (- for standard input)',
    );
  }
  const contents = isStdinGiven() ? await openUnnamedStdin(size) : undefined;
  return contents ?? { size, source: undefined };
}

function create(
  target: RemoteTarget,
  { size, source }: NewRegion,
  options: CreateOptions,
  call: CallOptions,
): Promise<RegionId> {
  const naming = options.name === undefined ? {} : { name: options.name };
  if (source === undefined) return target.create(size, naming, call);
  return withProgress('creating', { size, source }, options, (contents) =>
    target.createAndWrite(contents, { ...persistOf(options), ...naming }, call),
  );
}

/** The part of a region that is read. */
interface Part {
  offset: number;
  /** Default: up to the end. */
  length?: number;
}

/**
 * The bytes of a region. All come from one region, even if its name is given to another one
 * meanwhile. For a name, the first piece is read before this returns: if the region was replaced
 * between the look-up and the read, the name is looked up again.
 * @throws REGION_NOT_FOUND, OUT_OF_RANGE
 */
export async function openRegion(
  target: RemoteTarget,
  ref: RegionRef,
  { offset, length }: Part,
  call: CallOptions,
): Promise<RegionSource> {
  if (typeof ref !== 'string' && length !== undefined)
    return { size: length, source: target.readStream(ref, offset, length, call) };
  for (let gone: RegionId | undefined; ;) {
    const { id, size: whole } = await target.stat(ref, call);
    const size = length ?? Math.max(0, whole - offset);
    const pieces = target.readStream(id, offset, size, call);
    try {
      const first = await pieces.next();
      return { size, source: first.done === true ? [] : resume(first.value, pieces) };
    } catch (error) {
      const isGone = isInstance(error, BedrockError) && error.code === 'REGION_NOT_FOUND';
      if (!isGone || typeof ref !== 'string' || gone?.equals(id) === true) throw error;
      gone = id;
    }
  }
}

/** Writes contents to a file, or to standard output, with a progress bar. */
export function writeOut(
  contents: RegionSource,
  file = '-',
  options: TransferOptions,
  signal: AbortSignal,
): Promise<void> {
  return withProgress('reading', contents, options, ({ source }) =>
    file === '-' ? writeStdout(source, signal) : writeWholeFile(file, source, signal),
  );
}

function persistOf({ persist = false }: SendOptions): { persist: boolean } {
  return { persist };
}

export type TrackedSource = RegionSource & { source: AsyncGenerator<Uint8Array> };

/** Runs a transfer and counts its pieces. */
export async function withProgress<T>(
  label: string,
  { size, source }: RegionSource,
  { quiet }: TransferOptions,
  transfer: (contents: TrackedSource) => Promise<T>,
): Promise<T> {
  const progress = trackProgress(label, size, quiet);
  try {
    return await transfer({ size, source: progress.track(source) });
  } finally {
    progress.end();
  }
}
