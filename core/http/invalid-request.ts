/** What a schema finds wrong with a request, in the words that faults of a configuration have: where, found, allowed. */
import type { ErrorObject } from 'ajv/dist/2020.js';
import type { FastifySchemaValidationError } from 'fastify/types/schema.js';
import { BedrockError } from '../base/errors.js';
import { formatPath } from '../validation/issues.js';
import { findingOf } from '../validation/schema.js';

/**
 * @param errors as Ajv gives them with `verbose`, at least one; the first is told
 * @param part   what was checked: `querystring`, `params` or `body`
 * @returns INVALID_ARGUMENT
 */
export function invalidRequest(errors: FastifySchemaValidationError[], part: string): BedrockError {
  const { path, message } = findingOf(errors[0] as ErrorObject);
  const where = part === 'querystring' ? `?${path.join('.')}` : `${part} ${formatPath(path)}`;
  return new BedrockError('INVALID_ARGUMENT', `${where}: ${message}`);
}
