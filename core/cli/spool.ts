/**
 * Stores contents of unknown size, such as those of a pipe, in a temporary file, where their size
 * must be known first.
 */
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RegionSource } from '../contract/target.js';
import { ofWrittenFile } from './failure.js';
import { drain } from './output-file.js';

/**
 * Reads a source to its end into a temporary file, in the folder of TMPDIR. The file loses its name
 * first, so nothing is left of it, however the command ends.
 * @throws what the source throws, errors of the system, or what `signal` was aborted with
 */
export async function spooled(source: RegionSource['source'], signal: AbortSignal): Promise<RegionSource> {
  const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-'));
  const file = path.join(folder, 'contents');
  const handle = await openAndForget(folder, file);
  try {
    await ofWrittenFile(file, () => drain(source, handle.fd, signal));
    const { size } = await handle.stat();
    return { size, source: handle.createReadStream({ start: 0 }) as AsyncIterable<Uint8Array> };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openAndForget(folder: string, file: string): Promise<FileHandle> {
  try {
    return await open(file, 'wx+', 0o600);
  } finally {
    await rm(folder, { recursive: true });
  }
}
