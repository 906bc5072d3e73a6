/**
 * Detects what others may do to a pool's file while it is open, as locks keep out only those who
 * lock: truncate it, delete it, replace it, move it, or change the configured link. From then on,
 * whatever is stored is lost, or is not where the next start looks for it.
 */
import type { BigIntStats } from 'node:fs';
import { type FileHandle, stat } from 'node:fs/promises';
import { systemCodeOf } from '../base/errors.js';

/** An open file, as it was opened. */
export interface KnownFile {
  readonly file: FileHandle;
  readonly path: string;
  /** The configured path, if it is a link that leads to `path`. */
  readonly name?: string | undefined;
  /** Its minimum size, bytes. */
  readonly size: number;
}

/** What has happened to the file. @returns undefined if nothing has, or if it is unknown */
export async function changeOf(known: KnownFile): Promise<string | undefined> {
  const { file, path, name = path, size } = known;
  // A file that fails here is closed by now, or fails elsewhere.
  const now = await file.stat({ bigint: true }).catch(() => undefined);
  if (now === undefined) return undefined;
  if (now.size < size) return `its file was truncated while it was open, from ${size} to ${now.size} bytes`;
  const named = await identityOf(name);
  // A folder that can no longer be read proves nothing about the file.
  if (named === undefined && now.nlink > 0n) return undefined;
  const isOwn = (other: Identity | null | undefined): boolean =>
    other?.dev === now.dev && other.ino === now.ino;
  if (isOwn(named)) return undefined;
  const isThere = name !== path && isOwn(await identityOf(path));
  // It may have been closed meanwhile, and its number may belong to another file.
  if (file.fd < 0) return undefined;
  if (isThere)
    return (
      `${name} led to it when it was opened, and now leads elsewhere, where the next start would look; make it lead to ${path} again, ` +
      'or configure the pool by that path, and restart'
    );
  return lossOfName(known, named !== undefined && named !== null, now.nlink === 0n);
}

type Identity = Pick<BigIntStats, 'dev' | 'ino'>;

/** Identifies the file that a path leads to; null if there is none, undefined if unknown. */
async function identityOf(path: string): Promise<Identity | null | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    const code = systemCodeOf(error);
    return code === 'ENOENT' || code === 'ENOTDIR' ? null : undefined;
  }
}

/** Advice on where to save the file: beside the one that has replaced it, never over it. */
function lossOfName({ file, path }: KnownFile, isReplaced: boolean, isDeleted: boolean): string {
  const save = `cp --sparse=always /proc/${process.pid}/fd/${file.fd} ${path}`;
  if (isReplaced)
    return (
      'its file was replaced by another one while it was open, for example by a restored backup; to serve the new file, restart; ' +
      `to keep the regions of the old file, save it before the daemon stops: ${save}.replaced`
    );
  if (isDeleted) return `its file was deleted while it was open; before the daemon stops, save it: ${save}`;
  return `its file was moved away while it was open; stop the daemon, and move it back to ${path}`;
}
