/**
 * Sockets that the service manager listens on already, and passes to the daemon (sd_listen_fds(3)): descriptors from 3 on, with names.
 *
 * A name says which door a socket is for. Without names the first is for HTTP and the second for the Redis protocol. A socket must be
 * of the kind that the configuration has there, TCP or unix, and may be reached by other machines only if the configured address may:
 * so the rules for addresses that others can reach hold for it too.
 */
import type { AddressInfo, Server } from 'node:net';
import { BedrockError, messageOf } from '../base/errors.js';
import { formatHostPort, isLoopback } from './address.js';
import { closed, listening } from './listening.js';
import { admitOnly, type ForeignUsers, peerCheckOf, type UnixSettings } from './peer-users.js';

/** Descriptors, by what they are for. */
export interface InheritedSockets {
  readonly http: readonly number[];
  readonly resp: readonly number[];
  readonly respUnix: readonly number[];
}

/** What the log says of an address. @param others addresses of further sockets */
export function fromManager(others: readonly AddressInfo[] = []): string {
  if (others.length === 0) return ' (a socket of the service manager)';
  const also = others.map(({ address: host, port }) => formatHostPort({ host, port }));
  return ` (a socket of the service manager, as at ${also.join(', ')})`;
}

const FIRST_DESCRIPTOR = 3;

const DOORS: ReadonlyMap<string, keyof InheritedSockets> = new Map([
  ['http', 'http'],
  ['resp', 'resp'],
  ['resp-unix', 'respUnix'],
]);

/**
 * Takes what the environment says out of it, so that no child process takes the sockets for its own.
 * @returns undefined if there are none for this process
 * @throws START_FAILED for a name that no door has
 */
export function takeInheritedSockets(
  env: NodeJS.ProcessEnv,
  pid = process.pid,
): InheritedSockets | undefined {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = env;
  delete env.LISTEN_PID;
  delete env.LISTEN_FDS;
  delete env.LISTEN_FDNAMES;
  const count = Number(LISTEN_FDS ?? 0);
  if (Number(LISTEN_PID) !== pid || !Number.isSafeInteger(count) || count < 1) return undefined;
  const names = LISTEN_FDNAMES?.split(':') ?? [];
  // Without FileDescriptorName= each has the name of its unit, and with systemd-socket-activate none.
  const areNamed = names.some((name) => DOORS.has(name));
  const found: Record<keyof InheritedSockets, number[]> = { http: [], resp: [], respUnix: [] };
  for (let index = 0; index < count; index++) {
    const name = areNamed ? names[index] : ['http', 'resp'][index];
    const door = DOORS.get(name ?? '');
    if (door === undefined) {
      const called = name === undefined ? `${index + 1} sockets` : `a socket named "${name}"`;
      throw new BedrockError(
        'START_FAILED',
        `the service manager passes ${called}; FileDescriptorName= names each http, resp or resp-unix`,
      );
    }
    found[door].push(FIRST_DESCRIPTOR + index);
  }
  return found;
}

/**
 * Makes servers accept connections to inherited TCP sockets.
 * @param make returns a server that does not listen yet
 * @param host the configured one
 * @returns the address that the first of them has, and those of the others
 * @throws START_FAILED; then nothing listens
 */
export async function listenInherited(
  make: () => Server,
  descriptors: readonly number[],
  host: string,
): Promise<{ servers: Server[]; host: string; port: number; others: AddressInfo[] }> {
  const servers: Server[] = [];
  const addresses: AddressInfo[] = [];
  try {
    for (const fd of descriptors) {
      const server = make();
      await accept(server, fd);
      servers.push(server);
      const address = server.address();
      if (address === null || typeof address === 'string')
        throw fault(fd, 'is not of TCP, as the configured address is');
      if (!isLoopback(address.address) && isLoopback(host)) {
        throw fault(
          fd,
          `listens at ${address.address}, and the configured address is ${host}: set it likewise`,
        );
      }
      addresses.push(address);
    }
  } catch (error) {
    await Promise.all(servers.map(closed));
    throw error;
  }
  const [first = { address: host, port: 0 }, ...others] = addresses;
  return { servers, host: first.address, port: first.port, others };
}

/** The same for one unix socket, whose permissions are those of its unit. @throws START_FAILED */
export async function listenInheritedUnix(
  server: Server,
  [fd, further]: readonly [number, ...number[]],
  settings: UnixSettings,
  others: ForeignUsers,
): Promise<void> {
  // Clients of one that nobody accepts would wait forever.
  if (further !== undefined) throw fault(further, 'is one too many: only one unix socket is possible there');
  const check = await peerCheckOf(settings);
  if (check !== undefined) admitOnly(server, check, others);
  await accept(server, fd);
  const address = server.address();
  if (address === null || typeof address === 'string') return;
  await closed(server);
  throw fault(fd, 'is of TCP, and the configured address is a unix socket');
}

/** @throws START_FAILED for a socket that no address of the configuration is for */
export function checkPassed(name: string, isPassed: boolean, isConfigured: boolean): void {
  if (!isPassed || isConfigured) return;
  const key = name === 'resp' ? 'bedrock.resp.address' : 'bedrock.resp.unix';
  throw new BedrockError(
    'START_FAILED',
    `the service manager passes a socket named "${name}", and ${key} is not configured`,
  );
}

async function accept(server: Server, fd: number): Promise<void> {
  try {
    await listening(server, { fd });
  } catch (cause) {
    throw fault(fd, `cannot be used: ${messageOf(cause)}`, cause);
  }
}

function fault(fd: number, why: string, cause?: unknown): BedrockError {
  return new BedrockError('START_FAILED', `the socket that the service manager passes as ${fd} ${why}`, {
    cause,
  });
}
