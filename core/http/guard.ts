/**
 * Keeps web pages away from a daemon on the user's own machine: a browser sends the name it was given as Host (so a page that
 * had its name pointed here shows), and the page's origin with whatever could change something.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { BedrockError } from '../base/errors.js';
import type { ListenAddress } from '../net/address.js';

export interface GuardOptions {
  address: ListenAddress;
  allowedHosts: readonly string[];
  allowedOrigins: readonly string[];
}

/** Origins as browsers write them, in lower case: what a configuration has in another form means the same. */
export function originsOf(allowed: readonly string[]): ReadonlySet<string> {
  return new Set(allowed.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
}

/** @returns a check that throws FORBIDDEN, and INVALID_ARGUMENT for a request that does not say which host it means */
export function createGuard({
  address,
  allowedHosts,
  allowedOrigins,
}: GuardOptions): (request: IncomingMessage) => void {
  const names = new Set(['localhost', ...allowedHosts.map((host) => hostnameOf(host.toLowerCase()))]);
  if (address.kind === 'tcp') names.add(address.host.toLowerCase());
  const origins = originsOf(allowedOrigins);

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
    // No browser speaks to a unix socket, whose path is no host name, nor the version of HTTP that does without a host.
    if (address.kind === 'tcp' && !(host === '' && isOld(request)) && !isKnown(host)) {
      const name = hostnameOf(host);
      if (!isOwnAddress(name, request.socket.localAddress)) throw foreignHost(name);
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

/** HTTP/1.0 and before, as health checks of load balancers speak it. */
function isOld({ httpVersionMajor, httpVersionMinor }: IncomingMessage): boolean {
  return httpVersionMajor < 1 || (httpVersionMajor === 1 && httpVersionMinor === 0);
}

function foreignHost(name: string): BedrockError {
  if (name === '')
    return new BedrockError('FORBIDDEN', 'the Host header names nobody; send the host of the URL');
  const given = JSON.stringify(name.slice(0, MAX_NAME));
  return new BedrockError(
    'FORBIDDEN',
    `the Host header names ${given}, which is not this daemon; if it is, add ${given} to bedrock.http.allowed_hosts`,
  );
}

/** Longest name of a host (RFC 1035, 2.3.4). */
const MAX_NAME = 255;

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
