/**
 * A socket in the file system, from its making to its removal.
 *
 * It is bound in a folder that only the daemon's own user may enter, gets its rights there, and then its name by a link, which
 * replaces nothing: nobody else can reach it before, and a socket that another process has bound meanwhile stays. The system's
 * library removes the name that was bound when the server closes, which is gone by then; the name that others know is removed only
 * while it still leads to this socket.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, link, lstat, mkdtemp, open, rename, rm, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import path from 'node:path';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import { MAX_SOCKET_PATH_BYTES } from './address.js';
import { closed, listening } from './listening.js';
import { BOUND_BELOW, ownerOfSocket } from './socket-owner.js';

/** What a file system without hard links says. */
const NO_LINKS: readonly (string | undefined)[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

export class UnixSocket {
  private constructor(
    private readonly place: string,
    private readonly identity: string,
  ) {}

  /** Has a server listen at a path, for the daemon's own user. @throws START_FAILED, what the system says */
  static async bind(server: Server, place: string): Promise<UnixSocket> {
    await removeStaleSocket(place);
    const folder = await mkdtemp(path.join(path.dirname(place), BOUND_BELOW));
    const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      // Its own name, by which the system's table of sockets shows whose it is. Where that is too long with the folder before it, one
      // that no other file has: the library would remove it by a descriptor that may lead elsewhere by then.
      const own = path.join(folder, path.basename(place));
      const isLong = Buffer.byteLength(own) > MAX_SOCKET_PATH_BYTES;
      const made = isLong ? path.join(folder, randomBytes(8).toString('hex')) : own;
      const bound = isLong ? `/proc/self/fd/${handle.fd}/${path.basename(made)}` : own;
      await listening(server, { path: bound });
      await chmod(made, 0o600);
      const identity = await identityOf(made);
      await giveName(made, place);
      return new UnixSocket(place, identity ?? '');
    } catch (error) {
      // It may listen by now, where nobody can find it, and would keep the process running.
      if (server.listening) await closed(server);
      throw error;
    } finally {
      await handle.close();
      await rm(folder, { recursive: true, force: true });
    }
  }

  /**
   * Removes its name. To be called before the server closes: as long as it is open, no other socket can have its number.
   * Between the look and the removal another daemon would have to remove the name and bind it anew, which takes it far longer.
   */
  async remove(): Promise<void> {
    if ((await identityOf(this.place)) === this.identity) await unlink(this.place);
  }
}

async function giveName(made: string, place: string): Promise<void> {
  try {
    await link(made, place);
    await unlink(made);
  } catch (error) {
    if (systemCodeOf(error) === 'EEXIST')
      throw new BedrockError('START_FAILED', `another process has just begun to listen at unix:${place}`, {
        cause: error,
      });
    if (!NO_LINKS.includes(systemCodeOf(error))) throw error;
    await rename(made, place);
  }
}

/** Which file a name leads to; nothing if there is none. */
async function identityOf(place: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await lstat(place, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Removes the socket that a daemon left which was killed. One that still answers stays. @throws START_FAILED */
async function removeStaleSocket(place: string): Promise<void> {
  const found = await lstat(place).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new BedrockError('START_FAILED', `${place} exists and is no socket`);
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect(place, () => {
      probe.destroy();
      resolve(true);
    });
    // Any other failure, such as a full backlog, comes from one that lives.
    probe.on('error', (error) => resolve(systemCodeOf(error) !== 'ECONNREFUSED'));
  });
  if (isAlive) {
    const owner = (await ownerOfSocket(place)) ?? 'another process';
    throw new BedrockError('START_FAILED', `cannot listen at unix:${place}: ${owner} listens there already`);
  }
  // Another daemon may have removed it meanwhile, and have bound its own: the link fails then.
  const now = await lstat(place).catch(() => undefined);
  if (now?.ino === found.ino && now.dev === found.dev) await unlink(place);
}
