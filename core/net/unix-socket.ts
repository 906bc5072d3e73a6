/**
 * A socket in the file system, from its creation to its removal.
 *
 * It is bound in a folder that only the daemon's user may enter. It gets its permissions there, and
 * then its name by a link, which never replaces a file. So nobody else can reach it earlier, and a
 * socket that another process has bound meanwhile stays. When the server closes, libuv removes the
 * name that was bound, which no longer exists by then. The public name is removed only while it
 * still leads to this socket.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, link, lstat, mkdtemp, open, rename, rm, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import path from 'node:path';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import { MAX_SOCKET_PATH_BYTES } from './address.js';
import { closed, listening } from './listening.js';
import { admitOnly, type ForeignUsers, peerCheckOf, type UnixSettings } from './peer-users.js';
import { BOUND_BELOW, ownerOfSocket } from './socket-owner.js';

/** The errors of a file system without hard links. */
const NO_LINKS: readonly (string | undefined)[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

export class UnixSocket {
  private constructor(
    private readonly socketPath: string,
    private readonly identity: string,
  ) {}

  /**
   * Makes a server listen at a path, by default for the daemon's user only.
   * @param settings who may use the socket
   * @param others how clients are treated that they do not admit
   * @throws START_FAILED, the system's error
   */
  static async bind(
    server: Server,
    socketPath: string,
    settings: UnixSettings = { mode: '0600' },
    others: ForeignUsers = { answer: '' },
  ): Promise<UnixSocket> {
    const check = await peerCheckOf(settings);
    if (check !== undefined) admitOnly(server, check, others);
    await removeStaleSocket(socketPath);
    const folder = await mkdtemp(path.join(path.dirname(socketPath), BOUND_BELOW));
    const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      // The same base name, so that the system's table of sockets shows the owner. If the folder
      // makes it too long, a name that no other file has: libuv would remove it through a path that
      // may lead elsewhere by then.
      const own = path.join(folder, path.basename(socketPath));
      const isLong = Buffer.byteLength(own) > MAX_SOCKET_PATH_BYTES;
      const made = isLong ? path.join(folder, randomBytes(8).toString('hex')) : own;
      const bound = isLong ? `/proc/self/fd/${handle.fd}/${path.basename(made)}` : own;
      await listening(server, { path: bound });
      await chmod(made, Number.parseInt(settings.mode, 8));
      const identity = await identityOf(made);
      await giveName(made, socketPath);
      return new UnixSocket(socketPath, identity ?? '');
    } catch (error) {
      // It may already listen where nobody can find it, and would keep the process running.
      if (server.listening) await closed(server);
      throw error;
    } finally {
      await handle.close();
      await rm(folder, { recursive: true, force: true });
    }
  }

  /**
   * Removes its name. Must be called before the server closes: while it is open, no other socket
   * can have its inode. Between the check and the removal another daemon could remove the name and
   * bind it again, but that takes far longer.
   */
  async remove(): Promise<void> {
    if ((await identityOf(this.socketPath)) === this.identity) await unlink(this.socketPath);
  }
}

async function giveName(made: string, socketPath: string): Promise<void> {
  try {
    await link(made, socketPath);
    await unlink(made);
  } catch (error) {
    if (systemCodeOf(error) === 'EEXIST')
      throw new BedrockError(
        'START_FAILED',
        `another process has just begun to listen at unix:${socketPath}`,
        {
          cause: error,
        },
      );
    if (!NO_LINKS.includes(systemCodeOf(error))) throw error;
    await rename(made, socketPath);
  }
}

/** Identifies the file that a name leads to; undefined if there is none. */
async function identityOf(socketPath: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await lstat(socketPath, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Removes the socket that a killed daemon has left. A socket that still answers stays.
 * @throws START_FAILED
 */
async function removeStaleSocket(socketPath: string): Promise<void> {
  const found = await lstat(socketPath).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new BedrockError('START_FAILED', `${socketPath} exists and is not a socket`);
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect(socketPath, () => {
      probe.destroy();
      resolve(true);
    });
    // Any other error, such as a full backlog, means that the socket is alive.
    probe.on('error', (error) => resolve(systemCodeOf(error) !== 'ECONNREFUSED'));
  });
  if (isAlive) {
    const owner = (await ownerOfSocket(socketPath)) ?? 'another process';
    throw new BedrockError(
      'START_FAILED',
      `cannot listen at unix:${socketPath}: ${owner} already listens there`,
    );
  }
  // Another daemon may have removed it meanwhile and bound its own; then the link fails.
  const now = await lstat(socketPath).catch(() => undefined);
  if (now?.ino === found.ino && now.dev === found.dev) await unlink(socketPath);
}
