/**
 * The address of a daemon: `http://host:port`, `https://host:port` or `unix:/path` for HTTP;
 * `resp://host:port`, `resps://host:port` or `resp+unix:/path` for the Redis protocol.
 */
import { invalid } from '../base/errors.js';
import {
  formatAddress,
  formatHostPort,
  NO_SCHEME,
  parseAddress,
  parseHostPort,
  parseSocketPath,
  SERVICE_URL_FORMS,
} from './address.js';

export interface HttpUrl {
  readonly kind: 'http';
  /** As given to `connect`, in its normal form. */
  readonly text: string;
  /** Destination of requests; for a unix socket the host is only a placeholder. */
  readonly origin: string;
  /** Host of a TLS connection; undefined without TLS. */
  readonly secureHost?: string;
  readonly socketPath?: string;
}

/** Where a Redis door listens. */
export type RespEndpoint =
  | { readonly host: string; readonly port: number; readonly isSecure?: boolean }
  | { readonly path: string };

export interface RespUrl {
  readonly kind: 'resp';
  readonly text: string;
  readonly endpoint: RespEndpoint;
}

export type ServiceUrl = HttpUrl | RespUrl;

/** `rediss` is what Redis clients call it. */
const RESP = /^(resp|resps|rediss):\/\/(?!.*@)/;
const RESP_UNIX = 'resp+unix:';
/** The form of Redis clients: user, password and number of a database have no meaning here. */
const OF_REDIS = /^rediss?:\/\/(?:[^@/]*@)?([^/?#]*)/i;

/** @throws INVALID_ARGUMENT */
export function parseServiceUrl(url: string, directory = process.cwd()): ServiceUrl {
  const found = readServiceUrl(url, directory);
  if (typeof found !== 'string') return found;
  throw invalid(`${JSON.stringify(url)} is not an address of a daemon (${SERVICE_URL_FORMS}): ${found}`);
}

/**
 * @param directory base folder of a socket's relative path
 * @returns the address, or a text that says why there is none
 */
export function readServiceUrl(url: string, directory: string): ServiceUrl | string {
  if (url.startsWith(RESP_UNIX)) {
    const socket = parseSocketPath(url.slice(RESP_UNIX.length), directory);
    if (typeof socket === 'string') return socket;
    return { kind: 'resp', text: `${RESP_UNIX}${socket.path}`, endpoint: { path: socket.path } };
  }
  const [scheme, protocol] = RESP.exec(url) ?? [];
  if (scheme !== undefined) {
    const endpoint = parseHostPort(url.slice(scheme.length).replace(/\/$/, ''));
    if (typeof endpoint === 'string') return endpoint;
    if (protocol === 'resp') return { kind: 'resp', text: `resp://${formatHostPort(endpoint)}`, endpoint };
    return {
      kind: 'resp',
      text: `resps://${formatHostPort(endpoint)}`,
      endpoint: { ...endpoint, isSecure: true },
    };
  }
  const [, elsewhere] = OF_REDIS.exec(url) ?? [];
  if (elsewhere !== undefined) {
    const here = url.toLowerCase().startsWith('rediss') ? 'resps://' : 'resp://';
    return `the Redis protocol is reached by ${here} here: ${here}${elsewhere}`;
  }
  const address = parseAddress(url, directory);
  if (address === NO_SCHEME)
    return 'it begins with none of http://, https://, unix:, resp://, resps:// and resp+unix:';
  if (typeof address === 'string') return address;
  const text = formatAddress(address);
  if (address.kind === 'unix')
    return { kind: 'http', text, origin: 'http://localhost', socketPath: address.path };
  return { kind: 'http', text, origin: text, ...(address.isSecure && { secureHost: address.host }) };
}
