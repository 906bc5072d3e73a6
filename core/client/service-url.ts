/** Where a daemon is to be reached: `http://host:port`, or `unix:/path` for its unix socket. */
import { formatAddress, parseAddress } from '../config/address.js';
import { BedrockError } from '../errors.js';

export interface ServiceUrl {
  /** As `connect` was given it, in its usual form. */
  readonly text: string;
  /** What requests are sent to; for a unix socket the host is a mere name. */
  readonly origin: string;
  readonly socketPath?: string;
}

/** @throws INVALID_ARGUMENT */
export function parseServiceUrl(url: string): ServiceUrl {
  const address = parseAddress(url, process.cwd());
  if (typeof address === 'string') {
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(url)} is no address of a daemon (http://host:port or unix:/path): ${address}`,
    );
  }
  const text = formatAddress(address);
  if (address.kind === 'unix') return { text, origin: 'http://localhost', socketPath: address.path };
  return { text, origin: text };
}
