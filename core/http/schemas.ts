/** The parts of schemas/http.schema.json, under the names that routes use for them. */
import type { FastifyInstance } from 'fastify';
import { readSchema } from '../validation/schema.js';

const definitions = readSchema(new URL('../../schemas/http.schema.json', import.meta.url)).$defs as Record<
  string,
  object
>;

/** Every part, with its name. */
export function schemaParts(): object[] {
  return Object.entries(definitions).map(([name, schema]) => {
    const text = JSON.stringify(schema)
      .replaceAll('"#/$defs/', '"')
      .replace(/"\$ref":"([^"#]+)"/g, '"$ref":"$1#"');
    return { $id: name, ...(JSON.parse(text) as object) };
  });
}

/** Registers each part with Fastify, for validation and documentation. */
export function addSchemas(app: FastifyInstance): void {
  for (const schema of schemaParts()) app.addSchema(schema);
}

/**
 * One of the parts, for the parameters of a route, with its references resolved: the OpenAPI
 * document lists parameters individually and has no references within them.
 */
export function parameters(name: string): object {
  return writeOut(definitions[name]) as object;
}

function writeOut(schema: unknown): unknown {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return schema;
  const { $ref, ...own } = schema as Record<string, unknown>;
  const meant = typeof $ref === 'string' ? definitions[$ref.replace('#/$defs/', '')] : {};
  return Object.fromEntries(
    Object.entries({ ...meant, ...own }).map(([key, value]) => [key, writeOut(value)]),
  );
}

/** A reference to one of the parts. */
export function part(name: string): { $ref: string } {
  return { $ref: `${name}#` };
}

const BYTES = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };

/** Documents a body that is bytes. Nothing is checked: the handler reads and counts it. */
export function bytesBody(): object {
  return { content: { 'application/octet-stream': { schema: {} } } };
}

/** Documents a response that is bytes. */
export function bytesResponse(description: string): object {
  return { description, content: BYTES };
}

/** Documents a response without a body. */
export function emptyResponse(description: string): object {
  return { description, type: 'null' };
}

/** Errors that any route may answer with. */
export const PROBLEMS = {
  '4xx': { description: 'A problem of the request.', ...problemContent() },
  '5xx': { description: 'A problem of the daemon.', ...problemContent() },
};

function problemContent(): object {
  return { content: { 'application/problem+json': { schema: part('Problem') } } };
}
