/** The OpenAPI document, made of the schemas of the routes. */
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';

/** To be called before the routes are added. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
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
      // The plugin calls every body required; those of POST are optional here.
      for (const { post } of Object.values(made.openapiObject.paths ?? {}) as PathItem[]) {
        if (post?.requestBody !== undefined) post.requestBody.required = false;
      }
      return made.openapiObject;
    },
  });
}

interface PathItem {
  post?: { requestBody?: { required?: boolean } };
}
