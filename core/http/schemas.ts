/** The parts of schemas/http.schema.json, under the names that routes refer to them by. */
import type { FastifyInstance } from 'fastify';
import { readSchema } from '../config/schema.js';

const definitions = readSchema(new URL('../../schemas/http.schema.json', import.meta.url)).$defs as Record<
  string,
  object
>;

/** Makes each part known to Fastify, which validates, serialises and documents by them. */
export function addSchemas(app: FastifyInstance): void {
  for (const [name, schema] of Object.entries(definitions)) {
    const text = JSON.stringify(schema)
      .replaceAll('"#/$defs/', '"')
      .replace(/"\$ref":"([^"#]+)"/g, '"$ref":"$1#"');
    app.addSchema({ $id: name, ...(JSON.parse(text) as object) });
  }
}

/** A reference to one of the parts. */
export function part(name: string): { $ref: string } {
  return { $ref: `${name}#` };
}

const BYTES = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };

/** Documents a response that is bytes. */
export function bytesResponse(description: string): object {
  return { description, content: BYTES };
}

/** Documents a response without a body. */
export function emptyResponse(description: string): object {
  return { description, type: 'null' };
}

/** The problems that any route may answer with. */
export const PROBLEMS = {
  '4xx': { description: 'A problem of the request.', ...problemContent() },
  '5xx': { description: 'A problem of the daemon.', ...problemContent() },
};

function problemContent(): object {
  return { content: { 'application/problem+json': { schema: part('Problem') } } };
}
