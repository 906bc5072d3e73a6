/**
 * Validation by JSON Schema (draft 2020-12, by Ajv): faults with path, found value and allowed values, defaults filled in.
 *
 * Two keywords of our own: `x-ignored` (a reason) marks a key that Mochi knows and that means nothing here: using it gives a
 * warning. `x-allowed` says in words what a `pattern` allows.
 */
import { readFileSync } from 'node:fs';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { SchemaSource } from '../provider/definitions.js';
import { expected, type ConfigPath } from './issues.js';

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
    context?: { instancePath: string },
  ) {
    const path = stepsOf(context?.instancePath ?? '');
    this.remarks.push({ path, message: `has no meaning here and is ignored: ${reason}` });
    return true;
  },
});

/** @throws what Ajv or the file system throws if it is no valid schema */
export function compileSchema(source: SchemaSource): SchemaCheck {
  const schema = source instanceof URL ? readSchema(source) : source;
  const validate: ValidateFunction = ajv.compile(schema);
  return (value) => {
    const collector: Collector = { remarks: [] };
    validate.call(collector, value);
    const faults = (validate.errors ?? []).map(faultOf);
    return { faults, remarks: collector.remarks };
  };
}

export function readSchema(url: URL): Record<string, unknown> {
  return JSON.parse(readFileSync(url, 'utf8')) as Record<string, unknown>;
}

/** Path of a JSON pointer; digits are taken for indexes. */
function stepsOf(pointer: string): (string | number)[] {
  const steps = pointer.split('/').slice(1);
  return steps.map((step) => {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    return /^\d+$/.test(key) ? Number(key) : key;
  });
}

interface PropertySchema {
  type?: string | string[];
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  properties?: Record<string, unknown>;
  'x-allowed'?: string;
}

function faultOf(error: ErrorObject): Finding {
  const path = stepsOf(error.instancePath);
  const schema = (error.parentSchema ?? {}) as PropertySchema;
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case 'additionalProperties': {
      const known = Object.keys(schema.properties ?? {}).filter((key) => key !== '$schema');
      const allowed = known.length === 0 ? 'no keys are allowed here' : `known keys are ${known.join(', ')}`;
      return { path: [...path, String(params.additionalProperty)], message: `unknown key; ${allowed}` };
    }
    case 'required': {
      const key = String(params.missingProperty);
      const missing = schema.properties?.[key] as PropertySchema | undefined;
      return {
        path: [...path, key],
        message: expected(undefined, missing === undefined ? 'a value' : allowedBy(missing)),
      };
    }
    case 'pattern':
      return {
        path,
        message: expected(error.data, schema['x-allowed'] ?? `text that matches ${String(params.pattern)}`),
      };
    case 'minLength':
      return { path, message: expected(error.data, 'text that is not empty') };
    case 'minItems':
      return { path, message: expected(error.data, `at least ${String(params.limit)} entries`) };
    case 'type':
    case 'enum':
    case 'minimum':
    case 'maximum':
      return { path, message: expected(error.data, allowedBy(schema)) };
    default:
      return {
        path,
        message: `${expected(error.data, allowedBy(schema))} (${error.message ?? error.keyword})`,
      };
  }
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
