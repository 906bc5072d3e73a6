/**
 * Listening: at every address that a host name has, and why an address could not be had.
 *
 * A name such as `localhost` mostly has an address of each version of IP, and clients take either. All of them get the same port.
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
  /** As they were bound. */
  readonly addresses: readonly string[];
}

/** How often a free port is looked for that is free at every address. */
const MAX_ATTEMPTS = 20;

/** What the system says of an address that this machine does not have. */
const NOT_HERE: readonly (string | undefined)[] = ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL'];

/**
 * Listens at all addresses of a host, as far as this machine has them.
 * @param make gives a server that does not listen yet
 * @param port 0 takes a free one
 * @throws what the system says; then nothing listens
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
      // A free port of the first address may be taken at the next.
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

/** Resolves when a server listens. @throws what the system says */
export function listening(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Least time between two log lines of failures to accept, milliseconds. */
const ACCEPT_LOG_MS = 60_000;

/** Has a server that listens go on if a connection cannot be accepted, with a line in the log, not for each of them. */
export function goOnAfterFailures(server: Server, logger: Logger): void {
  let loggedAt = -Infinity;
  server.on('error', (error) => {
    const now = performance.now();
    if (now - loggedAt < ACCEPT_LOG_MS) return;
    loggedAt = now;
    logger.warning(`a connection could not be accepted: ${messageOf(error)}`);
  });
}

/** Takes no further connections. Resolves when the last one has ended. */
export function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** What the log says of the addresses of a name; nothing of an address. */
export function boundTo(host: string, addresses: readonly string[]): string {
  return isIP(host) === 0 ? ` (${addresses.join(', ')})` : '';
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
