/** Addresses to listen on: `http://host:port`, `https://host:port` and `unix:/path`. */
import { isIP } from 'node:net';
import path from 'node:path';

export type ListenAddress =
  | {
      readonly kind: 'tcp';
      readonly host: string;
      readonly port: number;
      /** Whether TLS is spoken there. */
      readonly isSecure: boolean;
    }
  | { readonly kind: 'unix'; readonly path: string };

/** Address of a Redis door. */
export interface RespAddress {
  readonly tcp: { readonly host: string; readonly port: number } | undefined;
  /** Path of a unix socket. */
  readonly unix: string | undefined;
}

export const DEFAULT_PORT = 7480;

export const ADDRESS_FORMS = 'http://host:port (port 0 takes a free one), https://host:port or unix:/path';

/** The forms of a daemon's address. */
export const SERVICE_URL_FORMS =
  'http://host:port, https://host:port, unix:/path, resp://host:port, resps://host:port or resp+unix:/path';

/** Maximum length of a unix socket's path on Linux, bytes: sun_path of unix(7) without its final zero. */
export const MAX_SOCKET_PATH_BYTES = 107;

/** Transports of Mercury, which users of Mochi know from addresses. */
const MERCURY = /^(na|ofi|ucx|bmi|psm2?|tcp|sm|verbs)(\+|:|$)/;

/** Prefixes of addresses of the Redis protocol, here and elsewhere. */
const REDIS = /^(rediss?|resps?)(\+unix)?:/i;

/** Why a text is not an address to listen on, if nothing in it is recognized. */
export const NO_SCHEME = 'it begins with none of http://, https:// and unix:';

/** Whether the text is meant as an address, valid or not. */
export function looksLikeAddress(text: string): boolean {
  return MERCURY.test(text) || /^[a-z][a-z0-9+]*:/i.test(text) || /^(\[[^\]]*\]|[\w.-]+):\d+$/.test(text);
}

/**
 * @param directory base folder of a socket's relative path
 * @returns the address, or a text that says why there is none
 */
export function parseAddress(text: string, directory: string): ListenAddress | string {
  if (text.startsWith('unix:')) return parseSocketPath(text.slice('unix:'.length), directory);
  if (MERCURY.test(text)) return 'Mercury transports do not exist here';
  if (REDIS.test(text))
    return 'it is for HTTP; the Redis protocol has --resp-address host:port, and bedrock.resp in a configuration';
  if (!/^https?:\/\//i.test(text)) return NO_SCHEME;
  const isSecure = /^https:/i.test(text);
  const port = /:([^:/\]@?#]*)\/?$/.exec(text.slice('https:'.length))?.[1] ?? '';
  if (!/^\d*$/.test(port) || Number(port) > 65535) return 'its port is not a number from 0 to 65535';
  // The URL parser would drop line breaks and tabs.
  if (/\s/.test(text) || !URL.canParse(text)) return 'its host is neither a name nor an IP address';
  const url = new URL(text);
  if (
    url.username !== '' ||
    url.password !== '' ||
    !['', '/'].includes(url.pathname) ||
    url.search + url.hash !== ''
  ) {
    return `only a host and a port may follow ${isSecure ? 'https' : 'http'}://`;
  }
  if (!/^([a-z0-9._-]+|\[[0-9a-f:.]+\])$/.test(url.hostname)) {
    return 'its host is neither a name nor an IP address';
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  // Not url.port, which omits the default port of the scheme.
  return { kind: 'tcp', host, port: port === '' ? DEFAULT_PORT : Number(port), isSecure };
}

/** @returns host and port, or a text that says why there are none */
export function parseHostPort(text: string): { host: string; port: number } | string {
  const [, host, port] = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined) return 'it is not a host:port';
  if (Number(port) > 65535) return 'its port is not a number from 0 to 65535';
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
}

/** @returns the absolute path, or a text that says why a socket cannot have it */
export function parseSocketPath(given: string, directory: string): { kind: 'unix'; path: string } | string {
  if (given === '') return 'the path of the socket is missing';
  if (given.includes('\0')) return "the socket's path holds a zero byte";
  const absolute = path.resolve(directory, given);
  const length = Buffer.byteLength(absolute);
  if (length > MAX_SOCKET_PATH_BYTES) {
    return `the socket's path has ${length} bytes, and the system allows ${MAX_SOCKET_PATH_BYTES}`;
  }
  return { kind: 'unix', path: absolute };
}

/**
 * Whether only the machine itself can reach a host, as far as that is known without asking for its
 * address.
 */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Host and port as text, in the form that `parseHostPort` reads. */
export function formatHostPort({ host, port }: { host: string; port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** An address as text, in the form that `parseAddress` reads. */
export function formatAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `${address.isSecure ? 'https' : 'http'}://${formatHostPort(address)}`;
}
