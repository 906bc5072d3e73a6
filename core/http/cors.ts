/**
 * Web pages of allowed origins (Cross-Origin Resource Sharing, fetch.spec.whatwg.org, 3.3): a browser lets a page of another site read
 * an answer only if the answer names that site, and asks before it sends what could change something. Pages of other sites get no
 * such header, and the guard refuses what they send.
 *
 * It stands before the routes and the fast path, so that every answer has the headers: those of errors too.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';

const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE';

/** What a page may read of an answer beside what it always may (3.3.3). */
const EXPOSED = [
  'Accept-Ranges',
  'Allow',
  'Content-Length',
  'Content-Range',
  'Error-Code',
  'Location',
  'Region-Created-At',
  'Retry-After',
].join(', ');

/** How long a browser may go by an answer, seconds. */
const MAX_AGE_SECONDS = '600';

export interface CorsOptions {
  /** In lower case. */
  origins: ReadonlySet<string>;
  /** Throws for a request that may not be served. */
  guard: (request: IncomingMessage) => void;
  /** What serves the requests. */
  otherwise: RequestListener;
}

/** @returns a listener that tells browsers which pages may call, and passes on whatever is no question of theirs */
export function tellBrowsers({ origins, guard, otherwise }: CorsOptions): RequestListener {
  return (request, response) => {
    // An answer without the header must not be given to a page that may read it, nor the other way round.
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

/** What is not goes on to the routes, which say so. */
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
    'access-control-allow-methods': METHODS,
    // Whichever it asks for: the page may call, and no header makes a difference to that.
    ...(asked !== undefined && { 'access-control-allow-headers': asked }),
    // A page of the Internet that calls a daemon of a private network (wicg.github.io/private-network-access).
    ...(headers['access-control-request-private-network'] === 'true' && {
      'access-control-allow-private-network': 'true',
    }),
    'access-control-max-age': MAX_AGE_SECONDS,
  });
  response.end();
}
