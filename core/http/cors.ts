/**
 * Cross-Origin Resource Sharing (fetch.spec.whatwg.org, 3.3), for web pages of allowed origins. A
 * browser lets a page of another site read an answer only if the answer names that site. It asks
 * first before it sends a request that could change something. Pages of other sites get no such
 * header, and the guard refuses their requests.
 *
 * This runs before the routes and the fast path, so that every answer has the headers, errors included.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { SECURITY_HEADERS } from './security-headers.js';

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';

/** Headers that a page may read in addition to those that it can always read (3.3.3). */
const EXPOSED = [
  'Accept-Ranges',
  'Allow',
  'Content-Length',
  'Content-Range',
  'ETag',
  'Error-Code',
  'Location',
  'Preference-Applied',
  'Region-Created-At',
  'Region-Name',
  'Retry-After',
].join(', ');

/** How long a browser may cache an answer, in seconds. */
const MAX_AGE_SECONDS = '600';

export interface CorsOptions {
  /** In lower case. */
  origins: ReadonlySet<string>;
  /** Throws for a request that must not be served. */
  guard: (request: IncomingMessage) => void;
  /** Serves all other requests. */
  otherwise: RequestListener;
}

/** @returns a listener that tells browsers which pages may send requests, and passes all other requests on */
export function tellBrowsers({ origins, guard, otherwise }: CorsOptions): RequestListener {
  return (request, response) => {
    // Caches must not give an answer without the header to a page that may read it, nor the other way round.
    response.setHeader('vary', 'Origin');
    const { origin } = request.headers;
    if (origin === undefined || !origins.has(origin.toLowerCase())) {
      otherwise(request, response);
      return;
    }
    response.setHeader('access-control-allow-origin', origin);
    if (isPreflight(request) && isAdmitted(request, guard)) {
      answerPreflight(request, response);
      return;
    }
    response.setHeader('access-control-expose-headers', EXPOSED);
    otherwise(request, response);
  };
}

function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
}

/** A refused request is passed to the routes, which report it. */
function isAdmitted(request: IncomingMessage, guard: CorsOptions['guard']): boolean {
  try {
    guard(request);
    return true;
  } catch {
    return false;
  }
}

function answerPreflight({ headers }: IncomingMessage, response: ServerResponse): void {
  const asked = headers['access-control-request-headers'];
  response.writeHead(204, {
    ...SECURITY_HEADERS,
    'access-control-allow-methods': METHODS,
    // All requested headers are allowed: the page may send requests, and headers make no difference to that.
    ...(asked !== undefined && { 'access-control-allow-headers': asked }),
    // For a page from the Internet that calls a daemon in a private network
    // (wicg.github.io/private-network-access).
    ...(headers['access-control-request-private-network'] === 'true' && {
      'access-control-allow-private-network': 'true',
    }),
    'access-control-max-age': MAX_AGE_SECONDS,
  });
  response.end();
}
