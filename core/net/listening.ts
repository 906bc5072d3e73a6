/** Taking an address to listen at: what stands in the way of it, and why it could not be had. */
import { lstat, stat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { BedrockError, messageOf, systemCodeOf } from '../errors.js';
import { ownerOfPort, ownerOfSocket } from './socket-owner.js';

/** Removes the socket that a daemon left which was killed. One that still answers stays. @throws START_FAILED */
export async function removeStaleSocket(socket: string): Promise<void> {
  const found = await lstat(socket).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new BedrockError('START_FAILED', `${socket} exists and is no socket`);
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect(socket, () => {
      probe.destroy();
      resolve(true);
    });
    // Any other failure, such as a full backlog, comes from one that lives.
    probe.on('error', (error) => resolve(systemCodeOf(error) !== 'ECONNREFUSED'));
  });
  if (isAlive) {
    const owner = (await ownerOfSocket(socket)) ?? 'another process';
    throw new BedrockError('START_FAILED', `cannot listen at unix:${socket}: ${owner} listens there already`);
  }
  await unlink(socket);
}

/**
 * Why an address could not be had, and whose it is.
 * @param where the address, as people write it
 */
export async function listenFailure(
  where: string,
  address: { port: number } | { path: string },
  cause: unknown,
): Promise<BedrockError> {
  if (cause instanceof BedrockError) return cause;
  const why = await reasonOf(systemCodeOf(cause), address);
  return new BedrockError('START_FAILED', `cannot listen at ${where}: ${why ?? messageOf(cause)}`, { cause });
}

async function reasonOf(
  code: string | undefined,
  address: { port: number } | { path: string },
): Promise<string | undefined> {
  switch (code) {
    case 'EADDRINUSE': {
      const owner = 'port' in address ? await ownerOfPort(address.port) : await ownerOfSocket(address.path);
      const other = 'port' in address ? 'another port (0 takes a free one)' : 'another path';
      return `${owner ?? 'another process'} listens there already; stop it, or take ${other}`;
    }
    // libuv says so of a folder that is not there, too.
    case 'EACCES':
    case 'ENOENT':
    case 'ENOTDIR':
      if ('port' in address) return 'the system does not allow it: ports below 1024 need rights';
      return folderFault(path.dirname(address.path));
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address';
    case 'ENOTFOUND':
      return 'the host name is not known';
    default:
      return undefined;
  }
}

async function folderFault(folder: string): Promise<string> {
  try {
    if (!(await stat(folder)).isDirectory()) return `${folder} is no folder`;
    return `the system does not allow a socket in ${folder}`;
  } catch (error) {
    const isGone = systemCodeOf(error) === 'ENOENT';
    return isGone ? `there is no folder ${folder}; make it` : `${folder} cannot be used: ${messageOf(error)}`;
  }
}
