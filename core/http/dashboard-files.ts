/**
 * The files of the page that the daemon serves. They are read from the package when a browser first
 * asks for them, and kept.
 *
 * The page has no access to other sites, and runs only code of its own files: a name or the
 * contents of a region never become a part of it. The policy tells this to the browser
 * (w3.org/TR/CSP3).
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BedrockError } from '../base/errors.js';

const TYPES: Record<string, string> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

/** Names of files in dashboard/. */
const OWN = [
  'index.html',
  'style.css',
  'icon.svg',
  'app.js',
  'charts.js',
  'configuration.js',
  'connections.js',
  'daemon.js',
  'elements.js',
  'names.js',
  'operations.js',
  'overview.js',
  'preview.js',
  'provider.js',
  'rates.js',
  'space.js',
  'units.js',
] as const;

/** Files of uPlot, which draws the charts. */
const OF_UPLOT = { 'uplot.js': 'dist/uPlot.esm.js', 'uplot.css': 'dist/uPlot.min.css' } as const;

const FOLDER = new URL('../../dashboard/', import.meta.url);

const HEADERS = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    // Previews of regions.
    "img-src 'self' blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-cache',
};

interface PageFile {
  readonly type: string;
  readonly bytes: Buffer;
  readonly tag: string;
}

/** Paths under which the page is served. */
export const DASHBOARD_PATHS: readonly string[] = [
  '/',
  ...[...OWN.slice(1), ...Object.keys(OF_UPLOT)].map((name) => `/dashboard/${name}`),
];

export function addDashboard(app: FastifyInstance): void {
  const kept = new Map<string, Promise<PageFile>>();
  const read = (name: string): Promise<PageFile> => {
    const file = kept.get(name) ?? readPageFile(name);
    kept.set(name, file);
    // What was missing, such as a file descriptor, may be available the next time.
    file.catch(() => kept.delete(name));
    return file;
  };
  for (const url of DASHBOARD_PATHS) {
    const name = url === '/' ? 'index.html' : path.posix.basename(url);
    // The page alone contains no data, so everybody may get it.
    app.get(url, { config: { access: 'public' }, schema: { hide: true } }, async (request, reply) => {
      // The router takes the asterisk, which is the daemon as a whole (RFC 9112, 3.2.4), for the root.
      if (request.raw.url === '*') return reply.callNotFound();
      return answer(await read(name), request, reply);
    });
  }
}

function answer(
  { type, bytes, tag }: PageFile,
  { headers }: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  reply.headers({ ...HEADERS, etag: tag });
  if (headers['if-none-match'] === tag) return reply.code(304).send();
  return reply.header('content-type', type).send(bytes);
}

async function readPageFile(name: string): Promise<PageFile> {
  const type = TYPES[path.extname(name).slice(1)] ?? 'application/octet-stream';
  try {
    const bytes = await readFile(placeOf(name));
    return { type, bytes, tag: `"${createHash('sha256').update(bytes).digest('base64url')}"` };
  } catch (cause) {
    throw new BedrockError('INTERNAL', `the page cannot be read: ${name}`, { cause });
  }
}

function placeOf(name: string): string | URL {
  if (!Object.hasOwn(OF_UPLOT, name)) return new URL(name, FOLDER);
  // It may be installed beside this package or inside it.
  const folder = path.dirname(createRequire(import.meta.url).resolve('uplot/package.json'));
  return path.join(folder, OF_UPLOT[name as keyof typeof OF_UPLOT]);
}
