/**
 * Protects a daemon on the user's own machine from web pages. A browser sends the host name of the
 * URL as Host, which reveals a page that had its own name pointed at this machine. It also sends
 * the page's origin with every request that could change something.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { BedrockError, invalid } from '../base/errors.js';
import type { ListenAddress } from '../net/address.js';

export interface GuardOptions {
  address: ListenAddress;
  allowedHosts: readonly string[];
  allowedOrigins: readonly string[];
}

/**
 * Origins in the form that browsers send, in lower case. A configured origin may be written in
 * another form.
 */
export function originsOf(allowed: readonly string[]): ReadonlySet<string> {
  return new Set(allowed.map((origin) => origin.toLowerCase().replace(/\/$/, '')));
}

/** @returns a check that throws FORBIDDEN, or INVALID_ARGUMENT for a request that does not name its host */
export function createGuard({
  address,
  allowedHosts,
  allowedOrigins,
}: GuardOptions): (request: IncomingMessage) => void {
  const names = new Set(['localhost', ...allowedHosts.map((host) => hostnameOf(host.toLowerCase()))]);
  if (address.kind === 'tcp') names.add(address.host.toLowerCase());
  const origins = originsOf(allowedOrigins);
  const scheme = address.kind === 'tcp' && address.isSecure ? 'https' : 'http';

  // Host values that were found to be this daemon's. Most clients repeat one spelling.
  const known = new Set<string>();
  const isKnown = (host: string): boolean => {
    if (known.has(host)) return true;
    if (!names.has(hostnameOf(host))) return false;
    if (known.size < MAX_KNOWN) known.add(host);
    return true;
  };

  return (request) => {
    const host = hostOf(request).toLowerCase();
    // Not checked: unix sockets, which browsers do not use and whose path is not a host name, and
    // the old HTTP versions without a host.
    if (address.kind === 'tcp' && !(host === '' && isOld(request)) && !isKnown(host)) {
      const name = hostnameOf(host);
      if (!isOwnAddress(name, request.socket.localAddress)) throw foreignHost(name);
    }
    const origin = request.headers.origin?.toLowerCase();
    if (origin !== undefined && origin !== `${scheme}://${host}` && !origins.has(origin)) {
      throw new BedrockError(
        'FORBIDDEN',
        `pages of ${JSON.stringify(origin)} may not call this daemon; allow them with bedrock.http.allowed_origins`,
      );
    }
  };
}

/** HTTP/1.0 or older, which health checks of load balancers use. */
function isOld({ httpVersionMajor, httpVersionMinor }: IncomingMessage): boolean {
  return httpVersionMajor < 1 || (httpVersionMajor === 1 && httpVersionMinor === 0);
}

function foreignHost(name: string): BedrockError {
  if (name === '') return new BedrockError('FORBIDDEN', 'the Host header is empty; send the host of the URL');
  const given = JSON.stringify(name.slice(0, MAX_NAME));
  return new BedrockError(
    'FORBIDDEN',
    `the Host header names ${given}, which is not this daemon; if it is, add ${given} to bedrock.http.allowed_hosts`,
  );
}

/** Maximum length of a host name (RFC 1035, 2.3.4). */
const MAX_NAME = 255;

/** Maximum number of spellings of the daemon's own name, with ports, to remember. */
const MAX_KNOWN = 64;

const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)/i;

/** The host that a request is for: from an absolute URI, or else from the Host header (RFC 9112, 3.2). */
function hostOf({ headers, httpVersion, rawHeaders, url = '' }: IncomingMessage): string {
  const count = countOf('host', rawHeaders);
  if (count > 1 || (count === 0 && httpVersion === '1.1')) {
    throw invalid(`a request needs one Host header, and this one has ${count}`);
  }
  const absolute = url.startsWith('/') ? undefined : ABSOLUTE_FORM.exec(url)?.[1];
  return absolute ?? headers.host ?? '';
}

/** How often a header was sent. If Host came twice, node:http shows only the first one. */
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
  // An IP address cannot be pointed elsewhere, as a name can. But it must be an address of this machine.
  return name === '::1' || name.startsWith('127.') || name === localAddress?.replace(/^::ffff:/, '');
}
