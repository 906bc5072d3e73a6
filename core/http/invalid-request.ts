/** Converts schema errors of a request to the same wording as configuration errors: where, found, allowed. */
import type { ErrorObject } from 'ajv/dist/2020.js';
import type { FastifySchemaValidationError } from 'fastify/types/schema.js';
import { type BedrockError, invalid } from '../base/errors.js';
import { formatPath } from '../validation/issues.js';
import { findingOf } from '../validation/schema.js';

/**
 * @param errors from Ajv with `verbose`, at least one; the first is reported
 * @param part   what was checked: `querystring`, `params` or `body`
 * @returns INVALID_ARGUMENT
 */
export function invalidRequest(errors: FastifySchemaValidationError[], part: string): BedrockError {
  const { path, message } = findingOf(errors[0] as ErrorObject);
  const where = part === 'querystring' ? `?${path.join('.')}` : `${part} ${formatPath(path)}`;
  return invalid(`${where}: ${message}`);
}
