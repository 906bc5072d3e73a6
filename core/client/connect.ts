/**
 * Connects to a daemon in another process. The client is loaded only here, so that a daemon that
 * only serves does not pay for its memory.
 */
import type { CallOptions } from '../contract/remote-provider.js';
import type { ConnectOptions } from './remote/call-options.js';
import type { Service } from './service.js';

/**
 * Connects to a daemon.
 * @param url `http://host:port`, `https://host:port` or `unix:/path`; for the Redis protocol
 * `resp://host:port`, `resps://host:port` (with TLS) or `resp+unix:/path`
 * @throws INVALID_ARGUMENT, UNREACHABLE, TIMEOUT, NOT_READY, FORBIDDEN, UNAUTHENTICATED
 */
export async function connect(url: string, options: ConnectOptions & CallOptions = {}): Promise<Service> {
  const { Service } = await import('./service.js');
  return Service.connect(url, options);
}
