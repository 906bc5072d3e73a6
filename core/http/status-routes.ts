/** Routes of the daemon's status, as one answer and as a stream of events, and of its connections. */
import type { FastifyInstance } from 'fastify';
import { EVENT_STREAM, type LiveStatus } from './live-status.js';
import type { RequestAccess } from './route-access.js';
import { listLimit } from './query.js';
import { parameters, part, PROBLEMS } from './schemas.js';

/** Of one answer. */
const CONNECTIONS = { byDefault: 100, most: 1000 };

export interface StatusRoutesOptions {
  /** The present status of the daemon. */
  status: () => Promise<object>;
  /** Open connections of all doors, at most `limit` of them, and how many there are. */
  connections: (limit: number) => object;
  live: LiveStatus;
  /** Absent: the daemon is open to everybody. */
  access: RequestAccess | undefined;
}

export function addStatusRoutes(
  app: FastifyInstance,
  { status, connections, live, access }: StatusRoutesOptions,
): void {
  app.get(
    '/v1/status',
    {
      config: { access: { scope: 'read', of: 'daemon' } },
      schema: {
        tags: ['daemon'],
        summary: 'The status of the daemon: process, providers, targets, execution pools, doors, operations',
        querystring: parameters('NoQuery'),
        response: { 200: { description: 'The present status.', ...part('DaemonStatus') }, ...PROBLEMS },
      },
    },
    () => status(),
  );

  app.get<{ Querystring: { limit?: string } }>(
    '/v1/connections',
    {
      // Where clients connect from is for those who administer the daemon, as CLIENT LIST of the
      // Redis protocol is.
      config: { access: { scope: 'admin', of: 'daemon' } },
      schema: {
        tags: ['daemon'],
        summary: 'The open connections: where from, since when, requests in flight, bytes',
        querystring: parameters('ConnectionsQuery'),
        response: {
          200: { description: 'The oldest of each door first.', ...part('ConnectionList') },
          ...PROBLEMS,
        },
      },
    },
    ({ query }) => connections(listLimit(query.limit, CONNECTIONS)),
  );

  app.get(
    '/v1/status/events',
    {
      config: { access: { scope: 'read', of: 'daemon' } },
      schema: {
        tags: ['daemon'],
        summary: 'The status each second, as server-sent events',
        querystring: parameters('NoQuery'),
        response: {
          200: {
            description:
              'Events whose data is the status, until the daemon stops, or the token of the request is revoked or expires.',
            content: { 'text/event-stream': { schema: { type: 'string' } } },
          },
          ...PROBLEMS,
        },
      },
    },
    (request, reply) => {
      live.admit();
      // The answer to a HEAD ends with its head.
      if (request.method === 'HEAD') return reply.headers(EVENT_STREAM).send();
      reply.hijack();
      live.follow(reply.raw, () => access?.maySeeDaemon(request.raw) !== false);
      return reply;
    },
  );
}
