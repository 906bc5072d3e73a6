/**
 * Listens at all addresses of a host name, and explains why an address is not available.
 *
 * A name such as `localhost` usually has an address for each version of IP, and clients use either.
 * All of them get the same port.
 */
import { lookup } from 'node:dns/promises';
import { stat } from 'node:fs/promises';
import { type AddressInfo, isIP, type ListenOptions, type Server } from 'node:net';
import path from 'node:path';
import { BedrockError, messageOf, systemCodeOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { ownerOfPort, ownerOfSocket } from './socket-owner.js';

/** Servers that listen at the addresses of one name. */
export interface TcpListeners {
  readonly servers: readonly Server[];
  readonly port: number;
  /** The addresses that they are bound to. */
  readonly addresses: readonly string[];
}

/** Maximum number of searches for a port that is free at every address. */
const MAX_ATTEMPTS = 20;

/** The system's errors for an address that this machine does not have. */
const NOT_HERE: readonly (string | undefined)[] = ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL'];

/**
 * Listens at all addresses of a host that this machine has.
 * @param make returns a server that does not listen yet
 * @param port 0 selects a free one
 * @throws the system's error; then nothing listens
 */
export async function listenTcp(
  make: () => Server,
  { host, port }: { host: string; port: number },
  addressesOf = lookUp,
): Promise<TcpListeners> {
  const addresses = await addressesOf(host);
  for (let attempt = 1; ; attempt++) {
    const servers: Server[] = [];
    try {
      return await listenAtAll(make, addresses, port, servers);
    } catch (error) {
      await Promise.all(servers.map(closed));
      // A port that is free at the first address may be in use at the next.
      const isTaken = port === 0 && servers.length > 0 && systemCodeOf(error) === 'EADDRINUSE';
      if (!isTaken || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

async function listenAtAll(
  make: () => Server,
  addresses: readonly string[],
  port: number,
  servers: Server[],
): Promise<TcpListeners> {
  const bound: string[] = [];
  let missing: unknown;
  let taken = port;
  for (const address of addresses) {
    const server = make();
    try {
      await listening(server, { host: address, port: taken });
    } catch (error) {
      if (!NOT_HERE.includes(systemCodeOf(error))) throw error;
      missing = error;
      continue;
    }
    servers.push(server);
    bound.push(address);
    taken = (server.address() as AddressInfo).port;
  }
  if (servers.length === 0) throw missing;
  return { servers, port: taken, addresses: bound };
}

/** The addresses of a host, in the system's order. */
async function lookUp(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  const found = await lookup(host, { all: true });
  return [...new Set(found.map(({ address }) => address))];
}

/** Resolves when a server listens. @throws the system's error */
export function listening(server: Server, options: ListenOptions | { fd: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Minimum time between two log lines about failures to accept, milliseconds. */
const ACCEPT_LOG_MS = 60_000;

/** Keeps a server listening if a connection cannot be accepted. Logs such failures, but not each of them. */
export function goOnAfterFailures(server: Server, logger: Logger): void {
  let loggedAt = -Infinity;
  server.on('error', (error) => {
    const now = performance.now();
    if (now - loggedAt < ACCEPT_LOG_MS) return;
    loggedAt = now;
    logger.warning(`a connection could not be accepted: ${messageOf(error)}`);
  });
}

/** Accepts no further connections. Resolves when the last one has ended. */
export function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** The text about the addresses of a name for the log; empty for a plain address. */
export function boundTo(host: string, addresses: readonly string[]): string {
  return isIP(host) === 0 ? ` (${addresses.join(', ')})` : '';
}

/**
 * Explains why an address is not available, and who uses it.
 * @param where the address as people write it
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
      return `${owner ?? 'another process'} already listens there; stop it, or use ${other}`;
    }
    // libuv also reports this for a folder that does not exist.
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
    if (!(await stat(folder)).isDirectory()) return `${folder} is not a folder`;
    return `the system does not allow a socket in ${folder}`;
  } catch (error) {
    const isGone = systemCodeOf(error) === 'ENOENT';
    return isGone
      ? `there is no folder ${folder}; create it`
      : `${folder} cannot be used: ${messageOf(error)}`;
  }
}
