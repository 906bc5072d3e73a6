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

/** @returns a check that throws FORBIDDEN, and INVALID_ARGUMENT for a request that does not say which host it means */
export function createGuard({
  address,
  allowedHosts,
  allowedOrigins,
}: GuardOptions): (request: IncomingMessage) => void {
  const names = new Set(['localhost', ...allowedHosts.map((host) => host.toLowerCase())]);
  if (address.kind === 'tcp') names.add(address.host.toLowerCase());
  const origins = new Set(allowedOrigins.map((origin) => origin.toLowerCase()));

  // What was found to be this daemon's: mostly one spelling, asked for again and again.
  const known = new Set<string>();
  const isKnown = (host: string): boolean => {
    if (known.has(host)) return true;
    if (!names.has(hostnameOf(host))) return false;
    if (known.size < MAX_KNOWN) known.add(host);
    return true;
  };

  return (request) => {
    const host = hostOf(request).toLowerCase();
    // No browser speaks to a unix socket, and its path is no host name.
    if (
      address.kind === 'tcp' &&
      !isKnown(host) &&
      !isOwnAddress(hostnameOf(host), request.socket.localAddress)
    ) {
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

/** Spellings of the own name, with ports, that are worth remembering. */
const MAX_KNOWN = 64;

const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)/i;

/** The host that a request is meant for: that of an absolute URI, or else the Host header (RFC 9112, 3.2). */
function hostOf({ headers, httpVersion, rawHeaders, url = '' }: IncomingMessage): string {
  const count = countOf('host', rawHeaders);
  if (count > 1 || (count === 0 && httpVersion === '1.1')) {
    throw new BedrockError('INVALID_ARGUMENT', `a request needs one Host header, and this one has ${count}`);
  }
  const absolute = url.startsWith('/') ? undefined : ABSOLUTE_FORM.exec(url)?.[1];
  return absolute ?? headers.host ?? '';
}

/** How often a header was sent; of a Host header that came twice node:http shows only the first. */
function countOf(name: string, rawHeaders: readonly string[]): number {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const header = rawHeaders[index];
    if (header?.length === name.length && header.toLowerCase() === name) count++;
  }
  return count;
}

/** The name in a Host header, without port and brackets. */
function hostnameOf(host: string): string {
  const bracketed = /^\[([^\]]*)\](:\d+)?$/.exec(host);
  return bracketed?.[1] ?? host.replace(/:\d*$/, '');
}

function isOwnAddress(name: string, localAddress: string | undefined): boolean {
  if (isIP(name) === 0) return false;
  // An address is no name that could be pointed elsewhere; it must still be this machine's.
  return name === '::1' || name.startsWith('127.') || name === localAddress?.replace(/^::ffff:/, '');
}
