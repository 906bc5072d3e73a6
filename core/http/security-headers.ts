/**
 * Headers of every answer, for browsers. An answer holds what clients have stored, so a browser
 * should neither guess its type and run it, nor show it inside another site's page, nor tell other
 * sites the address that it came from.
 */
import type { RequestListener } from 'node:http';

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

const ENTRIES = Object.entries(SECURITY_HEADERS);

/** The same headers, as lines of an answer that is written as bytes. */
export const SECURITY_LINES = ENTRIES.map(([name, value]) => `${name}: ${value}`);

/**
 * Gives every answer of a listener the headers. A provider's own route may replace them, for a page
 * that needs other ones.
 */
export function withSecurityHeaders(otherwise: RequestListener): RequestListener {
  return (request, response) => {
    for (const [name, value] of ENTRIES) response.setHeader(name, value);
    otherwise(request, response);
  };
}
