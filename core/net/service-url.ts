/**
 * Where a daemon is to be reached: over HTTP at `http://host:port` or `unix:/path`, over the Redis protocol at `resp://host:port` or
 * `resp+unix:/path`.
 */
import { BedrockError } from '../base/errors.js';
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
  /** As `connect` was given it, in its usual form. */
  readonly text: string;
  /** What requests are sent to; for a unix socket the host is a mere name. */
  readonly origin: string;
  readonly socketPath?: string;
}

/** Where a Redis door listens. */
export type RespEndpoint = { readonly host: string; readonly port: number } | { readonly path: string };

export interface RespUrl {
  readonly kind: 'resp';
  readonly text: string;
  readonly endpoint: RespEndpoint;
}

export type ServiceUrl = HttpUrl | RespUrl;

const RESP = 'resp://';
const RESP_UNIX = 'resp+unix:';
/** As clients of Redis name it: user, password and number of a database are nothing that is known here. */
const OF_REDIS = /^rediss?:\/\/(?:[^@/]*@)?([^/?#]*)/i;

/** @throws INVALID_ARGUMENT */
export function parseServiceUrl(url: string, directory = process.cwd()): ServiceUrl {
  const found = readServiceUrl(url, directory);
  if (typeof found !== 'string') return found;
  throw new BedrockError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(url)} is no address of a daemon (${SERVICE_URL_FORMS}): ${found}`,
  );
}

/**
 * @param directory folder that a relative path of a socket counts from
 * @returns the address, or in words why the text is none
 */
export function readServiceUrl(url: string, directory: string): ServiceUrl | string {
  if (url.startsWith(RESP_UNIX)) {
    const socket = parseSocketPath(url.slice(RESP_UNIX.length), directory);
    if (typeof socket === 'string') return socket;
    return { kind: 'resp', text: `${RESP_UNIX}${socket.path}`, endpoint: { path: socket.path } };
  }
  if (url.startsWith(RESP)) {
    const endpoint = parseHostPort(url.slice(RESP.length).replace(/\/$/, ''));
    if (typeof endpoint === 'string') return endpoint;
    return { kind: 'resp', text: `${RESP}${formatHostPort(endpoint)}`, endpoint };
  }
  const [, elsewhere] = OF_REDIS.exec(url) ?? [];
  if (elsewhere !== undefined) return `the Redis protocol is reached by resp:// here: ${RESP}${elsewhere}`;
  const address = parseAddress(url, directory);
  if (address === NO_SCHEME) return 'it begins with none of http://, unix:, resp:// and resp+unix:';
  if (typeof address === 'string') return address;
  const text = formatAddress(address);
  if (address.kind === 'unix')
    return { kind: 'http', text, origin: 'http://localhost', socketPath: address.path };
  return { kind: 'http', text, origin: text };
}
