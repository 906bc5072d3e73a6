/**
 * Keeps web pages away from a daemon on the user's own machine: a browser sends the name it was given as Host (so a page that
 * had its name pointed here shows), and the page's origin with whatever could change something.
 */
import { isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';
import type { ListenAddress } from '../config/address.js';
import { BedrockError } from '../errors.js';

export interface GuardOptions {
  address: ListenAddress;
  allowedHosts: readonly string[];
  allowedOrigins: readonly string[];
}

/** @returns a check that throws FORBIDDEN */
export function createGuard({
  address,
  allowedHosts,
  allowedOrigins,
}: GuardOptions): (request: IncomingMessage) => void {
  const names = new Set(['localhost', ...allowedHosts.map((host) => host.toLowerCase())]);
  if (address.kind === 'tcp') names.add(address.host.toLowerCase());
  const origins = new Set(allowedOrigins.map((origin) => origin.toLowerCase()));

  return (request) => {
    const host = (request.headers.host ?? '').toLowerCase();
    // No browser speaks to a unix socket, and its path is no host name.
    if (address.kind === 'tcp' && !isOwnHost(hostnameOf(host), request.socket.localAddress, names)) {
      throw new BedrockError(
        'FORBIDDEN',
        `the Host header ${JSON.stringify(host)} is not this daemon; allow it with bedrock.http.allowed_hosts`,
      );
    }
    const origin = request.headers.origin?.toLowerCase();
    if (origin !== undefined && origin !== `http://${host}` && !origins.has(origin)) {
      throw new BedrockError(
        'FORBIDDEN',
        `pages of ${JSON.stringify(origin)} may not call this daemon; allow them with bedrock.http.allowed_origins`,
      );
    }
  };
}

/** The name in a Host header, without port and brackets. */
function hostnameOf(host: string): string {
  const bracketed = /^\[([^\]]*)\](:\d+)?$/.exec(host);
  return bracketed?.[1] ?? host.replace(/:\d*$/, '');
}

function isOwnHost(name: string, localAddress: string | undefined, names: ReadonlySet<string>): boolean {
  if (names.has(name)) return true;
  if (isIP(name) === 0) return false;
  // An address is no name that could be pointed elsewhere; it must still be this machine's.
  return name === '::1' || name.startsWith('127.') || name === localAddress?.replace(/^::ffff:/, '');
}
