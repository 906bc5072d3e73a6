/**
 * Finds the owner of an address in use, as far as Linux shows it: /proc/net lists each listening
 * socket with its inode, and a process that holds it has a descriptor that links to
 * `socket:[inode]`. Used only after listening failed. Only root can see the descriptors of another
 * user's process.
 */
import { readFile, readdir, readlink } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

/** `LISTEN` in /proc/net/tcp: include/net/tcp_states.h. */
const LISTEN = '0A';

/** @returns a text such as `process 4711 (node)`; undefined if the system does not show it */
export async function ownerOfPort(port: number): Promise<string | undefined> {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const inodes: string[] = [];
  for (const table of ['tcp', 'tcp6']) {
    for (const columns of await rowsOf(table)) {
      const [, local = '', , state = ''] = columns;
      if (state === LISTEN && local.endsWith(suffix)) inodes.push(columns[9] ?? '');
    }
  }
  return holderOf(inodes);
}

/**
 * Prefix of the folder in which a daemon binds its socket before it links it to its name, in the
 * same folder as that name.
 */
export const BOUND_BELOW = '.bedrock-';

/** Whether a socket that was bound at `bound` may have the name `path`. */
function mayBe(bound: string, path: string): boolean {
  if (bound === path) return true;
  const folder = dirname(bound);
  return (
    basename(bound) === basename(path) &&
    basename(folder).startsWith(BOUND_BELOW) &&
    dirname(folder) === dirname(path)
  );
}

/** The same for the path of a unix socket. */
export async function ownerOfSocket(path: string): Promise<string | undefined> {
  const rows = await rowsOf('unix');
  return holderOf(rows.filter((columns) => mayBe(columns[7] ?? '', path)).map((columns) => columns[6] ?? ''));
}

/** Without the header line. */
async function rowsOf(table: string): Promise<string[][]> {
  const text = await readFile(`/proc/net/${table}`, 'utf8').catch(() => '');
  const rows = text.split('\n').slice(1);
  return rows.map((row) => row.trim().split(/\s+/));
}

async function holderOf(inodes: readonly string[]): Promise<string | undefined> {
  const wanted = new Set(inodes.map((inode) => `socket:[${inode}]`));
  if (wanted.size === 0) return undefined;
  for (const pid of await entriesOf('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const descriptor of await entriesOf(`/proc/${pid}/fd`)) {
      const leadsTo = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
      if (!wanted.has(leadsTo)) continue;
      const name = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
      return `process ${pid}${name === '' ? '' : ` (${name})`}`;
    }
  }
  return undefined;
}

/** Empty if the folder no longer exists or cannot be read. */
function entriesOf(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}
