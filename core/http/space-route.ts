/** The route of the map of a target's space. */
import type { FastifyInstance } from 'fastify';
import { type ProviderManager, servedTarget } from '../runtime/provider-manager.js';
import { SpaceMaps } from '../runtime/space-maps.js';
import { naturalNumber } from './query.js';
import { parameters, part, PROBLEMS } from './schemas.js';

export interface SpaceRouteOptions {
  providers: ProviderManager;
}

export function addSpaceRoute(app: FastifyInstance, { providers }: SpaceRouteOptions): void {
  const maps = new SpaceMaps();
  app.get<{ Params: { provider: string }; Querystring: { target?: string } }>(
    '/v1/providers/:provider/stats/space',
    {
      config: { access: { scope: 'read', of: 'provider' } },
      schema: {
        tags: ['providers'],
        summary: "A map of a target's space: free bytes and regions of at most 1024 buckets",
        params: parameters('ProviderParams'),
        querystring: parameters('TargetQuery'),
        response: { 200: { description: 'The map.', ...part('SpaceMap') }, ...PROBLEMS },
      },
    },
    async (request) => {
      const provider = providers.get(request.params.provider);
      const { executionPool, source } = servedTarget(
        provider,
        naturalNumber('target', request.query.target ?? '0'),
      );
      return provider.requests.during(() => executionPool.run(() => maps.of(source)));
    },
  );
}
