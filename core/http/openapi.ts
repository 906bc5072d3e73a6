/** Builds the OpenAPI document from the schemas of the routes. */
import type { FastifyInstance, RouteOptions } from 'fastify';
import type { ProviderRoute } from '../contract/route.js';
import type { ProviderManager } from '../runtime/provider-manager.js';
import { readSchema } from '../validation/schema.js';
import { compilers } from './compilers.js';
import { addSchemas } from './schemas.js';

/** The parts of a route that the document describes. */
type Described = Pick<RouteOptions, 'method' | 'url' | 'schema' | 'config'>;

/**
 * Call it before the routes are added.
 * @param asksWho whether requests need a token
 * @returns a function that makes the document, once
 */
export function describeRoutes(
  app: FastifyInstance,
  version: string,
  asksWho = false,
): () => Promise<object> {
  const routes: Described[] = [];
  app.addHook('onRoute', ({ method, url, schema, config }) => {
    // Copied, because Fastify writes into the schema when it begins to serve.
    routes.push({
      method,
      url,
      ...(schema && { schema: structuredClone(schema) }),
      ...(config && { config }),
    });
  });
  let document: Promise<object> | undefined;
  const make = (): Promise<object> =>
    documentOf(routes, version, asksWho).catch((error: unknown) => {
      // What was missing, such as a file descriptor, may be available the next time.
      document = undefined;
      throw error;
    });
  return () => (document ??= make());
}

/** The security that applies to every request that declares no other. */
const SECURITY = {
  components: {
    securitySchemes: {
      token: {
        type: 'http' as const,
        scheme: 'bearer',
        description: 'A token of the daemon, bedrock_ID_SECRET, as "bedrock token new" prints it.',
      },
    },
  },
  security: [{ token: [] }],
};

/**
 * Uses a separate server that serves nothing. Few daemons are asked for the document, and the code
 * for it takes long to load.
 */
async function documentOf(routes: readonly Described[], version: string, asksWho: boolean): Promise<object> {
  const [{ default: Fastify }, { default: swagger }] = await Promise.all([
    import('fastify'),
    import('@fastify/swagger'),
  ]);
  const app = Fastify({ exposeHeadRoutes: false, schemaController: { compilersFactory: compilers } });
  await app.register(swagger, {
    openapi: {
      ...(asksWho && SECURITY),
      openapi: '3.1.0',
      info: {
        title: 'bedrock-node',
        version,
        description: 'Regions of bytes, kept by the providers of a Bedrock daemon.',
      },
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) =>
        typeof json.$id === 'string' ? json.$id : `schema-${index}`,
    },
    transformObject(made) {
      if (!('openapiObject' in made)) return made.swaggerObject;
      // The plugin marks every body as required; those of regions are optional with POST.
      for (const [path, { post }] of Object.entries(made.openapiObject.paths ?? {}) as [string, PathItem][]) {
        if (post?.requestBody !== undefined && path.includes('/regions')) post.requestBody.required = false;
      }
      return made.openapiObject;
    },
  });
  addSchemas(app);
  // A wildcard is a name with slashes, which OpenAPI cannot express.
  for (const route of routes)
    app.route({
      ...route,
      ...(asksWho && route.config?.access === 'public' && { schema: { ...route.schema, security: [] } }),
      url: route.url.replace(/\/names\/\*$/, '/names/:name'),
      handler: () => undefined,
    });
  await app.ready();
  const document = app.swagger();
  await app.close();
  return document;
}

interface PathItem {
  post?: { requestBody?: { required?: boolean } };
}

/** The document as of now, with the routes that providers added, each under the name of its provider. */
export function withProviderRoutes(document: object, providers: ProviderManager): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { name, routes } of providers.all) {
    for (const route of routes.all) {
      if (route.isInternal === true) continue;
      const path = `/v1/providers/${name}${route.path.replaceAll(/:(\w+)/g, '{$1}')}`;
      (paths[path] ??= {})[route.method.toLowerCase()] = operationOf(name, route);
    }
  }
  const { paths: own } = document as { paths?: object };
  return { ...document, paths: { ...own, ...paths } };
}

function operationOf(provider: string, { path, summary, query = [], body }: ProviderRoute): object {
  const string = { type: 'string' };
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => name);
  const parameters = [
    ...inPath.map((name) => ({ name, in: 'path', required: true, schema: string })),
    ...query.map((name) => ({ name, in: 'query', schema: string })),
  ];
  return {
    tags: [provider],
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(body !== undefined && { requestBody: requestBodyOf(body) }),
    responses: {
      '2XX': { description: 'As the provider answers.' },
      '4XX': { description: 'A problem of the request.', content: PROBLEM },
      '5XX': { description: 'A problem of the daemon.', content: PROBLEM },
    },
  };
}

const PROBLEM = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };

function requestBodyOf(body: NonNullable<ProviderRoute['body']>): object {
  if (body === 'bytes') return { required: true, content: { 'application/octet-stream': {} } };
  const { schema, isOptional } = body;
  const written = schema instanceof URL ? readSchema(schema) : schema;
  return { required: !isOptional, content: { 'application/json': { schema: written } } };
}
