/** Routes that change the running configuration: providers, execution pools, execution streams, libraries. */
import type { FastifyInstance } from 'fastify';
import type { ProviderChange } from '../contract/provider-change.js';
import type { Changes } from '../runtime/changes.js';
import { describeProvider } from '../runtime/description.js';
import { emptyResponse, parameters, part, PROBLEMS } from './schemas.js';

export interface ConfigurationRoutesOptions {
  changes: Changes;
}

/** Call it where JSON bodies are accepted. */
export function addConfigurationRoutes(app: FastifyInstance, { changes }: ConfigurationRoutesOptions): void {
  const noQuery = parameters('NoQuery');

  app.post<{ Querystring: { before?: string }; Body: object }>(
    '/v1/providers',
    {
      config: { access: { scope: 'admin', of: 'daemon' } },
      schema: {
        tags: ['providers'],
        summary: 'Start another provider',
        querystring: parameters('AddProviderQuery'),
        body: part('ProviderEntry'),
        response: {
          201: { description: 'It runs. Location is its path.', ...part('Provider') },
          ...PROBLEMS,
        },
      },
    },
    async ({ body, query }, reply) => {
      const added = await changes.addProvider(body as object, query.before);
      return reply.code(201).header('location', `/v1/providers/${added.name}`).send(describeProvider(added));
    },
  );

  app.patch<{ Params: { provider: string }; Body: ProviderChange }>(
    '/v1/providers/:provider',
    {
      config: { access: { scope: 'admin', of: 'daemon' } },
      schema: {
        tags: ['providers'],
        summary: 'Give a provider another execution pool, or other dependencies',
        params: parameters('ProviderParams'),
        querystring: noQuery,
        body: part('ProviderChange'),
        response: { 204: emptyResponse('Changed.'), ...PROBLEMS },
      },
    },
    async ({ params, body }, reply) => {
      await changes.changeProvider(params.provider, body);
      return reply.code(204).send();
    },
  );

  app.delete<{ Params: { provider: string } }>(
    '/v1/providers/:provider',
    {
      config: { access: { scope: 'admin', of: 'daemon' } },
      schema: {
        tags: ['providers'],
        summary: 'Stop and remove a provider when its requests in flight have ended',
        params: parameters('ProviderParams'),
        querystring: noQuery,
        response: { 204: emptyResponse('Removed. Its stored data is kept.'), ...PROBLEMS },
      },
    },
    async ({ params }, reply) => {
      await changes.removeProvider(params.provider);
      return reply.code(204).send();
    },
  );

  app.post<{ Body: { library: string } }>(
    '/v1/libraries',
    {
      config: { access: { scope: 'admin', of: 'daemon' } },
      schema: {
        tags: ['daemon'],
        summary: 'Load a library',
        querystring: noQuery,
        body: part('LibraryBody'),
        response: { 204: emptyResponse('Loaded; its types can be used.'), ...PROBLEMS },
      },
    },
    async ({ body }, reply) => {
      await changes.loadLibrary(body.library);
      return reply.code(204).send();
    },
  );

  app.post(
    '/v1/reload',
    {
      config: { access: { scope: 'admin', of: 'daemon' } },
      schema: {
        tags: ['daemon'],
        summary: 'Read the configuration file again, and apply what differs',
        querystring: noQuery,
        response: { 204: emptyResponse('The running configuration is that of the file.'), ...PROBLEMS },
      },
    },
    async (_request, reply) => {
      await changes.reload();
      return reply.code(204).send();
    },
  );

  app.post(
    '/v1/config/save',
    {
      config: { access: { scope: 'admin', of: 'daemon' } },
      schema: {
        tags: ['daemon'],
        summary: 'Write the running configuration into the file that the daemon was started with',
        querystring: noQuery,
        response: { 200: { description: 'Written.', ...part('SavedConfig') }, ...PROBLEMS },
      },
    },
    async () => ({ path: await changes.save() }),
  );

  addNamedParts(app, {
    path: '/v1/execution-pools',
    what: 'an execution pool',
    entry: 'ExecutionPoolEntry',
    add: (entry) => changes.addExecutionPool(entry),
    remove: (name) => changes.removeExecutionPool(name),
  });
  addNamedParts(app, {
    path: '/v1/execution-streams',
    what: 'an execution stream',
    entry: 'ExecutionStreamEntry',
    add: (entry) => changes.addExecutionStream(entry),
    remove: (name) => changes.removeExecutionStream(name),
  });
}

/** Parts of the configuration that are added as entries of a list, and removed by their names. */
interface NamedParts {
  path: string;
  what: string;
  /** Schema of an entry. */
  entry: string;
  add: (entry: object) => Promise<void>;
  remove: (name: string) => Promise<void>;
}

function addNamedParts(app: FastifyInstance, { path, what, entry, add, remove }: NamedParts): void {
  app.post<{ Body: object }>(
    path,
    {
      config: { access: { scope: 'admin', of: 'daemon' } },
      schema: {
        tags: ['daemon'],
        summary: `Add ${what}`,
        querystring: parameters('NoQuery'),
        body: part(entry),
        response: { 204: emptyResponse('Added.'), ...PROBLEMS },
      },
    },
    async ({ body }, reply) => {
      await add(body as object);
      return reply.code(204).send();
    },
  );

  app.delete<{ Params: { name: string } }>(
    `${path}/:name`,
    {
      config: { access: { scope: 'admin', of: 'daemon' } },
      schema: {
        tags: ['daemon'],
        summary: `Remove ${what} that nothing uses`,
        params: parameters('PartParams'),
        querystring: parameters('NoQuery'),
        response: { 204: emptyResponse('Removed.'), ...PROBLEMS },
      },
    },
    async ({ params }, reply) => {
      await remove(params.name);
      return reply.code(204).send();
    },
  );
}
