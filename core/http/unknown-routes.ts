/**
 * Answers unknown paths with 404, other methods of known paths with 405 and the allowed ones, and
 * OPTIONS with the allowed ones alone. It also answers OPTIONS for the daemon as a whole (`/` and
 * `*`), which load balancers send by default.
 */
import type { FastifyInstance } from 'fastify';
import { BedrockError } from '../base/errors.js';
import { ROUTE_METHODS } from '../contract/route.js';
import { sendProblem } from './problem.js';

/** Call it before the routes are added. */
export function answerUnknownRoutes(app: FastifyInstance): void {
  const known = new Map<string, { matcher: RegExp; methods: Set<string> }>();
  app.addHook('onRoute', ({ url, method, schema }) => {
    // The wildcard for providers' routes answers for itself.
    if (schema?.hide === true) return;
    const route = known.get(url) ?? { matcher: matcherOf(url), methods: new Set() };
    for (const one of [method].flat()) route.methods.add(one);
    known.set(url, route);
  });
  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request.url);
    const route = [...known.values()].find(({ matcher }) => matcher.test(path));
    if (request.method === 'OPTIONS' && (path === '/' || path === '*'))
      return reply.code(204).header('allow', ALL_METHODS).send();
    if (route === undefined) {
      const text = `nothing is served under ${request.method} ${path}; see /openapi.json`;
      return sendProblem(new BedrockError('ROUTE_NOT_FOUND', text), request, reply);
    }
    const allowed = [...route.methods, 'OPTIONS'].join(', ');
    reply.header('allow', allowed);
    if (request.method === 'OPTIONS') return reply.code(204).send();
    const text = `${request.method} is not allowed here; allowed are ${allowed}`;
    return sendProblem(new BedrockError('METHOD_NOT_ALLOWED', text), request, reply);
  });
}

const ALL_METHODS = [...ROUTE_METHODS, 'HEAD', 'OPTIONS'].join(', ');

function matcherOf(url: string): RegExp {
  const steps = url.split('/').map((step) => {
    if (step === '*') return '.*';
    return step.startsWith(':') ? '[^/]+' : step.replaceAll('.', '\\.');
  });
  return new RegExp(`^${steps.join('/')}$`);
}

/**
 * The path of a request's URL, which a client may also send in the absolute form that is meant for
 * proxies.
 */
function pathOf(url: string): string {
  return url.replace(/^https?:\/\/[^/?#]*/i, '').split(/[?#]/, 1)[0] ?? '';
}
