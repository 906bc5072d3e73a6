/** Arguments that are JSON objects, checked by the schemas of the same requests over HTTP. */
import { invalid, messageOf } from '../base/errors.js';
import { checkNesting } from '../base/json-nesting.js';
import { isRecord } from '../base/plain.js';
import type { SchemaSource } from '../contract/schema-source.js';
import { formatPath } from '../validation/issues.js';
import { compileSchema, readSchema, type SchemaCheck } from '../validation/schema.js';
import type { Request } from './request.js';

/** @throws INVALID_ARGUMENT */
export function jsonArgument(request: Request, index: number): Record<string, unknown> {
  const value = parseJson(request.text(index), `argument ${index}`);
  if (!isRecord(value)) throw invalid(`argument ${index} is not a JSON object`);
  return value;
}

/** @param what it is, for messages @throws INVALID_ARGUMENT */
export function parseJson(text: string, what: string): unknown {
  checkNesting(text);
  try {
    return JSON.parse(text, withoutPrototypes) as unknown;
  } catch (cause) {
    throw invalid(`${what} is not JSON: ${messageOf(cause)}`, { cause });
  }
}

/** Such a key is an attempt to change more than a value. */
function withoutPrototypes(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new SyntaxError('it has a key __proto__');
  return value;
}

const checks = new Map<string, SchemaCheck>();

/** @param name of a definition in schemas/http.schema.json @throws INVALID_ARGUMENT, with all faults */
export function checkedArgument(request: Request, index: number, name: string): Record<string, unknown> {
  let check = checks.get(name);
  if (check === undefined) checks.set(name, (check = checkOf(name)));
  const { value, faults } = check(jsonArgument(request, index));
  if (faults.length === 0) return value;
  throw invalid(faults.map(({ path, message }) => `${formatPath(path)}: ${message}`).join('; '));
}

/** Compiled when it is first needed: most daemons never need it. */
function checkOf(name: string): SchemaCheck {
  const { $defs } = readSchema(new URL('../../schemas/http.schema.json', import.meta.url));
  return compileSchema(($defs as Record<string, Exclude<SchemaSource, URL>>)[name] ?? {});
}
