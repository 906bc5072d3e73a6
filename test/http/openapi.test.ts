/** The OpenAPI document: valid, whole, sound in itself, and true to what is served and to docs/http.md. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { FastifyInstance } from 'fastify';
import { DASHBOARD_PATHS } from '../../core/http/dashboard-files.js';
import { closeDaemons, runDaemon, type RunningDaemon } from './running-daemon.js';

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema: unknown;
}
interface Media {
  content?: Record<string, { schema?: unknown }>;
  description?: string;
}
interface Operation {
  summary?: string;
  tags?: string[];
  parameters?: Parameter[];
  requestBody?: Media & { required?: boolean };
  responses: Record<string, Media>;
}
interface Document {
  openapi: string;
  info: Record<string, string>;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
}

const REGIONS = '/v1/providers/{provider}/regions';
const NAMES = '/v1/providers/{provider}/names';

/** Every route that the daemon adds, hidden ones too: Fastify tells of each server that it makes before there is any. */
const served = new Set<string>();
function collectRoutes(message: unknown): void {
  (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) served.add(`${one} ${url.replaceAll(/:(\w+)/g, '{$1}')}`);
  });
}

let daemon: RunningDaemon;
let document: Document;
let operations: [string, string, Operation][];

beforeAll(async () => {
  subscribe('fastify.initialization', collectRoutes);
  daemon = await runDaemon();
  unsubscribe('fastify.initialization', collectRoutes);
  const answer = await daemon.call('GET', '/openapi.json');
  expect(answer.status).toBe(200);
  expect(answer.headers['content-type']).toMatch(/^application\/json/);
  document = answer.json() as Document;
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [
      path,
      method,
      operation,
    ]),
  );
});
afterAll(closeDaemons);

/** Calls `visit` on every object of the document, with its place. */
function walk(
  value: unknown,
  visit: (node: Record<string, unknown>, place: string) => void,
  place = '#',
): void {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) visit(value as Record<string, unknown>, place);
  for (const [key, inner] of Object.entries(value)) walk(inner, visit, `${place}/${key}`);
}

function resolve(reference: string): unknown {
  expect(reference).toMatch(/^#\//);
  return reference
    .slice(2)
    .split('/')
    .reduce<unknown>((node, step) => (node as Record<string, unknown> | undefined)?.[step], document);
}

describe('the OpenAPI document', () => {
  it('is of version 3.1 and names the daemon', () => {
    expect(document.openapi).toBe('3.1.0');
    expect(document.info).toMatchObject({ title: 'bedrock-node', version: expect.stringMatching(/^\d+\./) });
  });

  it('is valid by the schema of the OpenAPI Initiative', async () => {
    const validator = new Validator();
    expect(await validator.validate({ ...document })).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  it('has schemas that are valid JSON Schema', () => {
    const ajv = new Ajv2020();
    let count = 0;
    walk(document, (node, place) => {
      if (!/^#\/components\/schemas\/\w+$|\/schema$/.test(place)) return;
      count++;
      const isValid = ajv.validateSchema(node);
      expect([place, isValid, ajv.errors]).toEqual([place, true, null]);
    });
    expect(count).toBeGreaterThan(70);
  });

  it('has every route that is served, and no others', () => {
    const documented = operations.flatMap(([path, method]) =>
      // HEAD goes with GET without a word.
      (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]).map((one) => `${one} ${path}`),
    );
    // This wildcard leads to the routes of providers, of which this daemon has none; that of a name is a parameter. The page is for browsers.
    const plain = [...served]
      .filter((route) => !DASHBOARD_PATHS.includes(route.replace(/^\w+ /, '')))
      .filter((route) => !route.endsWith('{provider}/*'))
      .map((route) => route.replace(/\*$/, '{name}'));
    expect(new Set(documented)).toEqual(new Set(plain));
  });

  it('has the operations that docs/http.md lists, and no others', async () => {
    const page = await readFile(new URL('../../docs/http.md', import.meta.url), 'utf8');
    const listed = [...page.matchAll(/^\| `([A-Z]+) ([^\s?`]+)/gm)].map(
      ([, method = '', path = '']) => `${method} ${path.replace('{p}', '{provider}')}`,
    );
    const documented = operations.map(([path, method]) => `${method.toUpperCase()} ${path}`);
    expect(listed.sort()).toEqual(documented.sort());
  });

  it('agrees with what the daemon says is allowed', async () => {
    for (const [path, methods] of Object.entries(document.paths)) {
      const url = path
        .replace('{provider}', 'store')
        .replace('{id}', '0'.repeat(32))
        // The name of a region may have slashes.
        .replace('{name}', path.startsWith(NAMES) ? 'a/b' : 'a');
      const { status, headers } = await daemon.call('OPTIONS', url);
      expect([path, status]).toEqual([path, 204]);
      const allowed = new Set(String(headers.allow).toLowerCase().split(', '));
      const expected = new Set(Object.keys(methods));
      expected.add('options');
      if (expected.has('get')) expected.add('head');
      expect([path, allowed]).toEqual([path, expected]);
    }
  });

  it('has no reference that leads nowhere', () => {
    let count = 0;
    walk(document, (node, place) => {
      if (!('$ref' in node)) return;
      count++;
      expect([place, typeof resolve(String(node.$ref))]).toEqual([place, 'object']);
    });
    expect(count).toBeGreaterThan(20);
  });

  it('says of every operation what it is for and what it answers, problems included', () => {
    for (const [path, method, { summary, tags, responses }] of operations) {
      const where = `${method} ${path}`;
      expect([where, summary]).toEqual([where, expect.stringMatching(/./)]);
      expect([where, tags]).toEqual([where, [expect.stringMatching(/./)]]);
      expect([where, Object.keys(responses).some((status) => /^2\d\d$/.test(status))]).toEqual([where, true]);
      for (const [status, { description, content }] of Object.entries(responses)) {
        expect([where, status]).toEqual([where, expect.stringMatching(/^(2\d\d|304|[45]XX)$/)]);
        expect([where, description]).toEqual([where, expect.stringMatching(/./)]);
        if (/^[45]/.test(status))
          expect([where, Object.keys(content ?? {})]).toEqual([where, ['application/problem+json']]);
      }
      expect([where, Object.keys(responses)]).toEqual([where, expect.arrayContaining(['4XX', '5XX'])]);
    }
  });

  it('describes every parameter, and those of the path are those that it has', () => {
    for (const [path, method, { parameters = [] }] of operations) {
      const where = `${method} ${path}`;
      const inPath = parameters.filter((one) => one.in === 'path').map(({ name }) => name);
      expect([where, inPath]).toEqual([where, [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)]);
      const names = parameters.map((one) => `${one.in} ${one.name}`);
      expect([where, new Set(names).size]).toEqual([where, names.length]);
      for (const { name, in: place, required, description, schema } of parameters) {
        const what = `${where} ${name}`;
        expect([what, place]).toEqual([what, expect.stringMatching(/^(path|query)$/)]);
        if (place === 'path') expect([what, required]).toEqual([what, true]);
        expect([what, description]).toEqual([what, expect.stringMatching(/./)]);
        expect([what, typeof schema]).toEqual([what, 'object']);
      }
    }
  });

  it('lists the query parameters of each route', () => {
    const query = Object.fromEntries(
      operations.map(([path, method, { parameters = [] }]) => [
        `${method} ${path}`,
        parameters
          .filter((one) => one.in === 'query')
          .map(({ name }) => name)
          .sort(),
      ]),
    );
    expect(query).toMatchObject({
      'get /healthz': [],
      'get /v1/providers': [],
      'get /v1/operations': [],
      'post /v1/providers/{provider}/snapshot': ['wait'],
      'get /v1/providers/{provider}/stats': ['target'],
      [`get ${REGIONS}`]: ['after', 'limit', 'target'],
      [`post ${REGIONS}`]: ['name', 'persist', 'size', 'target'],
      [`get ${NAMES}`]: ['after', 'delimiter', 'limit', 'prefix', 'target'],
      [`put ${NAMES}/{name}`]: ['size', 'target'],
      [`get ${NAMES}/{name}`]: ['target'],
      [`patch ${NAMES}/{name}`]: ['replace', 'target'],
      [`patch ${REGIONS}/{id}`]: ['replace', 'target'],
      [`get ${REGIONS}/{id}`]: ['target'],
      [`put ${REGIONS}/{id}`]: ['offset', 'persist', 'size', 'target'],
      [`post ${REGIONS}/{id}/persist`]: ['target'],
    });
  });

  it('has the bodies that are taken, those required that mean nothing without', () => {
    const bodies = Object.fromEntries(
      operations
        .filter(([, , { requestBody }]) => requestBody !== undefined)
        .map(([path, method, { requestBody }]) => [
          `${method} ${path}`,
          [Object.keys(requestBody?.content ?? {}), requestBody?.required === true],
        ]),
    );
    expect(bodies).toEqual({
      'post /v1/query': [['application/json'], true],
      'post /v1/libraries': [['application/json'], true],
      'post /v1/execution-pools': [['application/json'], true],
      'post /v1/execution-streams': [['application/json'], true],
      'post /v1/providers': [['application/json'], true],
      'patch /v1/providers/{provider}': [['application/json'], true],
      [`post ${REGIONS}`]: [['application/octet-stream'], false],
      [`put ${REGIONS}/{id}`]: [['application/octet-stream'], true],
      [`post ${REGIONS}/{id}/persist`]: [['application/json'], false],
      [`patch ${REGIONS}/{id}`]: [['application/json'], true],
      [`put ${NAMES}/{name}`]: [['application/octet-stream'], true],
      [`patch ${NAMES}/{name}`]: [['application/json'], true],
      'post /v1/providers/{provider}/transactions': [['application/json'], true],
      'post /v1/providers/{provider}/snapshot': [['application/json'], true],
      'post /v1/providers/{provider}/restore': [['application/json'], true],
      'post /v1/providers/{provider}/migrate': [['application/json'], true],
    });
  });
});
