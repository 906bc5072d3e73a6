/** Taking an address to listen at: what stands in the way of it, and why it could not be had. */
import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { BedrockError, messageOf, systemCodeOf } from '../errors.js';

/** Removes the socket that a daemon left which was killed. One that still answers stays. @throws START_FAILED */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new BedrockError('START_FAILED', `${path} exists and is no socket`);
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    // Any other failure, such as a full backlog, comes from one that lives.
    probe.on('error', (error) => resolve(systemCodeOf(error) !== 'ECONNREFUSED'));
  });
  if (isAlive) throw new BedrockError('START_FAILED', `another process listens at unix:${path}`);
  await unlink(path);
}

/** @param where the address, as people write it */
export function listenFailure(where: string, cause: unknown): BedrockError {
  if (cause instanceof BedrockError) return cause;
  const reasons: Record<string, string> = {
    EADDRINUSE: 'the address is in use; stop the other process or take another port (0 takes a free one)',
    EACCES: 'the system does not allow it; ports below 1024 and foreign folders need rights',
    EADDRNOTAVAIL: 'this machine has no such address',
    ENOTFOUND: 'the host name is not known',
    ENOENT: 'the folder of the socket does not exist',
  };
  const why = reasons[systemCodeOf(cause) ?? ''] ?? messageOf(cause);
  return new BedrockError('START_FAILED', `cannot listen at ${where}: ${why}`, { cause });
}
