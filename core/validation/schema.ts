/**
 * Validation by JSON Schema (draft 2020-12, by Ajv): faults with path, found value and allowed values, defaults filled in.
 *
 * Two keywords of our own: `x-ignored` (a reason) marks a key that Mochi knows and that means nothing here: using it gives a
 * warning. `x-allowed` says in words what a value may be, where its type alone does not.
 */
import { readFileSync } from 'node:fs';
import addFormats from 'ajv-formats';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { SchemaSource } from '../contract/schema-source.js';
import { type ConfigPath, describeFound, expected } from './issues.js';

/** A fault or remark about one value. */
export interface Finding {
  path: ConfigPath;
  message: string;
}

export interface SchemaVerdict {
  faults: Finding[];
  /** Keys in use that mean nothing here. */
  remarks: Finding[];
}

export type SchemaCheck = (value: unknown) => SchemaVerdict;

/** What the x-ignored keyword reports to while a value is being validated. */
interface Collector {
  remarks: Finding[];
}

const ajv = new Ajv2020({
  // What the start of a daemon would mostly go into: see checkSchema.
  validateSchema: false,
  // Compiling takes longer than the few checks that are ever made.
  code: { optimize: false },
  allErrors: true,
  useDefaults: true,
  verbose: true,
  passContext: true,
  strictTypes: false,
  strictRequired: false,
  allowUnionTypes: true,
  addUsedSchema: false,
});
addFormats.default(ajv);
ajv.addVocabulary(['x-allowed', 'tsType']);
ajv.addKeyword({
  keyword: 'x-ignored',
  schemaType: 'string',
  errors: false,
  validate(
    this: Collector,
    reason: string,
    _data: unknown,
    _schema?: unknown,
    context?: { instancePath: string; rootData: unknown },
  ) {
    const path = stepsOf(context?.instancePath ?? '', context?.rootData);
    this.remarks.push({ path, message: `has no meaning here and is ignored: ${reason}` });
    return true;
  },
});

/** Compiling takes far longer than validating, and a process may run many daemons. */
const compiled = new WeakMap<SchemaSource, SchemaCheck>();

/** Where the schemas of this package lie. A test holds them valid, so that no start has to. */
const OWN_SCHEMAS = new URL('../../schemas/', import.meta.url).href;

/** @throws what Ajv or the file system throws if it is no valid schema */
export function compileSchema(source: SchemaSource): SchemaCheck {
  const check = compiled.get(source) ?? compile(source);
  compiled.set(source, check);
  return check;
}

function compile(source: SchemaSource): SchemaCheck {
  const schema = source instanceof URL ? readSchema(source) : source;
  if (!isOwn(source)) checkSchema(schema);
  const validate: ValidateFunction = ajv.compile(schema);
  return (value) => {
    const collector: Collector = { remarks: [] };
    validate.call(collector, value);
    const faults = (validate.errors ?? []).map((error) => findingOf(error, value, schema));
    return { faults, remarks: collector.remarks };
  };
}

function isOwn(source: SchemaSource): boolean {
  return source instanceof URL && source.href.startsWith(OWN_SCHEMAS);
}

/** @throws what Ajv throws if it is no valid schema: whatever a library may give is judged by the schema of schemas */
export function checkSchema(schema: object): void {
  void ajv.validateSchema(schema, true);
}

export function readSchema(url: URL): Record<string, unknown> {
  return JSON.parse(readFileSync(url, 'utf8')) as Record<string, unknown>;
}

/** Path of a JSON pointer into `root`: numbers where it leads through arrays, or look it if there is no root to ask. */
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
 * One of Ajv's errors (made with its option `verbose`) in words.
 * @param root       what was validated; without it, a step of digits counts as an index
 * @param rootSchema what it was validated by; without it, a missing key is described by its type alone
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

/** Those that mean something; Mochi's others would only hide them. */
function knownKeys({ properties = {} }: PropertySchema): string[] {
  return Object.entries(properties)
    .filter(([key, { 'x-ignored': reason }]) => key !== '$schema' && reason === undefined)
    .map(([key]) => key);
}

/** The schema that a `$ref` into the same document means. */
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
