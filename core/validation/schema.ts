/**
 * Validation by JSON Schema (draft 2020-12, with Ajv): faults with path, found value and allowed
 * values, and a copy of the value with the defaults filled in. The value itself is not changed.
 *
 * The build compiles the schemas of this package (scripts/validators.js), because that would take
 * a seventh of a daemon's start. Those of libraries are compiled when they are loaded.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import type { SchemaSource } from '../contract/schema-source.js';
import { type Collector, newAjv } from './ajv.js';
import { type ConfigPath, describeFound, expected } from './issues.js';

/** A fault or remark about one value. */
export interface Finding {
  path: ConfigPath;
  message: string;
}

export interface SchemaVerdict<T = unknown> {
  /** A copy of the validated value, with defaults filled in. */
  value: T;
  faults: Finding[];
  /** Keys in use that have no effect here. */
  remarks: Finding[];
}

export type SchemaCheck = <T>(value: T) => SchemaVerdict<T>;

const ajv = newAjv();

/** Compiling takes far longer than validating, and a process may run many daemons. */
const compiled = new WeakMap<SchemaSource, SchemaCheck>();

/**
 * Those that came as objects, by their text: Ajv keeps what it compiled forever, and a provider
 * may make its schemas again each time.
 */
const compiledTexts = new Map<string, SchemaCheck>();

/** The schemas of this package. A test checks that they are valid, so no start has to. */
const OWN_SCHEMAS = new URL('../../schemas/', import.meta.url).href;

/** @throws the error of Ajv or of the file system if it is not a valid schema */
export function compileSchema(source: SchemaSource): SchemaCheck {
  let check = compiled.get(source);
  if (check !== undefined) return check;
  check = source instanceof URL ? compile(source) : compileOnce(source);
  compiled.set(source, check);
  return check;
}

function compileOnce(schema: Exclude<SchemaSource, URL>): SchemaCheck {
  const text = JSON.stringify(schema);
  const check = compiledTexts.get(text) ?? compile(schema);
  compiledTexts.set(text, check);
  return check;
}

function compile(source: SchemaSource): SchemaCheck {
  const schema = source instanceof URL ? readSchema(source) : source;
  const validate = isOwn(source) ? compiledByBuild(path.posix.basename(source.pathname)) : compileNow(schema);
  return (given) => {
    const value = structuredClone(given);
    const collector: Collector = { ignored: [] };
    validate.call(collector, value);
    const faults = (validate.errors ?? []).map((error) => findingOf(error, value, schema));
    const remarks = collector.ignored.map(({ pointer, reason }) => ({
      path: stepsOf(pointer, value),
      message: `has no meaning here and is ignored: ${reason}`,
    }));
    return { value, faults, remarks };
  };
}

function isOwn(source: SchemaSource): source is URL {
  return source instanceof URL && source.href.startsWith(OWN_SCHEMAS);
}

function compiledByBuild(name: string): ValidateFunction {
  const validators = createRequire(import.meta.url)('../../schemas/generated/validators.cjs') as Record<
    string,
    ValidateFunction
  >;
  return validators[name] as ValidateFunction;
}

function compileNow(schema: Exclude<SchemaSource, URL>): ValidateFunction {
  checkSchema(schema);
  return ajv.compile(schema);
}

/** Checks a library's schema with the schema of schemas. @throws Ajv's error if it is not valid */
export function checkSchema(schema: object): void {
  void ajv.validateSchema(schema, true);
}

export function readSchema(url: URL): Record<string, unknown> {
  return JSON.parse(readFileSync(url, 'utf8')) as Record<string, unknown>;
}

/**
 * The path of a JSON pointer into `root`: numbers where it leads through arrays, or, without a
 * root, where a step looks like one.
 */
function stepsOf(pointer: string, root: unknown): (string | number)[] {
  let value = root;
  return pointer
    .split('/')
    .slice(1)
    .map((step) => {
      const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
      const isIndex = root === undefined ? /^[0-9]+$/.test(key) : Array.isArray(value);
      value = (value as Record<string, unknown> | undefined)?.[key];
      return isIndex ? Number(key) : key;
    });
}

interface PropertySchema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  properties?: Record<string, PropertySchema>;
  'x-allowed'?: string;
  'x-ignored'?: string;
}

/**
 * One of Ajv's errors (with its option `verbose`) in words.
 * @param root       the validated value; without it, a step of digits counts as an index
 * @param rootSchema its schema; without it, a missing key is described only by its type
 */
export function findingOf(error: ErrorObject, root?: unknown, rootSchema?: unknown): Finding {
  const path = stepsOf(error.instancePath, root);
  const schema = (error.parentSchema ?? {}) as PropertySchema;
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'additionalProperties': {
      const known = knownKeys(schema);
      const allowed = known.length === 0 ? 'no keys are allowed here' : `known keys: ${known.join(', ')}`;
      return { path: [...path, String(params.additionalProperty)], message: `unknown key; ${allowed}` };
    }
    case 'required': {
      const key = String(params.missingProperty);
      const missing = followed(schema.properties?.[key] ?? {}, rootSchema);
      return { path: [...path, key], message: expected(undefined, allowedBy(missing)) };
    }
    case 'minLength':
      if (params.limit === 1) return { path, message: expected(error.data, 'text that is not empty') };
      break;
    case 'minItems':
      if (params.limit === 1) return { path, message: expected(error.data, 'at least one entry') };
      break;
    case 'type':
    case 'enum':
    case 'minimum':
    case 'maximum':
      return { path, message: expected(error.data, allowedBy(schema)) };
  }
  const allowed = schema['x-allowed'];
  const message =
    allowed === undefined
      ? `found ${describeFound(error.data)}, which ${error.message ?? `breaks "${error.keyword}"`}`
      : expected(error.data, allowed);
  return { path, message };
}

/** Keys that have an effect; Mochi's other keys would only hide them. */
function knownKeys({ properties = {} }: PropertySchema): string[] {
  return Object.entries(properties)
    .filter(([key, { 'x-ignored': reason }]) => key !== '$schema' && reason === undefined)
    .map(([key]) => key);
}

/** The schema that a `$ref` into the same document leads to. */
function followed(schema: PropertySchema, root: unknown): PropertySchema {
  if (schema.$ref?.startsWith('#/') !== true) return schema;
  let target = root as Record<string, unknown> | undefined;
  for (const step of schema.$ref.slice(2).split('/')) target = target?.[step] as typeof target;
  return target ?? schema;
}

const ARTICLES: Record<string, string> = {
  string: 'a string',
  integer: 'an integer',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
  array: 'an array',
  null: 'null',
};

/** What a schema allows, in words. */
function allowedBy(schema: PropertySchema): string {
  if (schema['x-allowed'] !== undefined) return schema['x-allowed'];
  if (schema.enum !== undefined)
    return `one of ${schema.enum.map((value) => JSON.stringify(value)).join(', ')}`;
  const types = [schema.type ?? []].flat().map((type) => {
    const words = ARTICLES[type] ?? type;
    if (type !== 'integer' && type !== 'number') return words;
    const { minimum, maximum } = schema;
    if (minimum !== undefined && maximum !== undefined) return `${words} from ${minimum} to ${maximum}`;
    if (minimum !== undefined) return `${words} from ${minimum} up`;
    return maximum === undefined ? words : `${words} up to ${maximum}`;
  });
  return types.length === 0 ? 'a value' : types.join(' or ');
}
