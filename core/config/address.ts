/** Addresses to listen on: `http://host:port` and `unix:/path`. */

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export const DEFAULT_PORT = 7480;

export const ADDRESS_FORMS = 'http://host:port (port 0 takes a free one) or unix:/path';

/** Longest path of a unix socket on Linux, bytes: sun_path of unix(7) without its final zero. */
const MAX_SOCKET_PATH_BYTES = 107;

/** @returns the address, or in words why the text is none */
export function parseAddress(text: string): ListenAddress | string {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (path === '') return 'the path of the socket is missing';
    const length = Buffer.byteLength(path);
    if (length > MAX_SOCKET_PATH_BYTES) {
      return `the socket's path has ${length} bytes, and the system allows ${MAX_SOCKET_PATH_BYTES}`;
    }
    return path.includes('\0') ? "the socket's path holds a zero byte" : { kind: 'unix', path };
  }
  if (/^(na|ofi|ucx|bmi|psm2?|tcp|sm|verbs)(\+|:|$)/.test(text)) {
    return 'Mercury transports do not exist here';
  }
  if (!/^http:\/\//i.test(text) || !URL.canParse(text)) return 'it is not such an address';
  const url = new URL(text);
  if (
    url.username !== '' ||
    url.password !== '' ||
    !['', '/'].includes(url.pathname) ||
    url.search + url.hash !== ''
  ) {
    return 'only a host and a port may stand after http://';
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { kind: 'tcp', host, port: portOf(text, url) };
}

function portOf(text: string, url: URL): number {
  if (url.port !== '') return Number(url.port);
  // URL drops http's own port.
  return /:0*80\/?$/.test(text) ? 80 : DEFAULT_PORT;
}

/** The text of an address, as `parseAddress` reads it. */
export function formatAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `http://${host}:${address.port}`;
}
