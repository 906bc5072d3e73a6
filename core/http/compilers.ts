/**
 * How Fastify validates requests and serialises answers.
 *
 * A validator is compiled when a request first needs it, once per process. Otherwise most of a
 * daemon's start would go into validators that it never uses. Answers are written as plain JSON;
 * their schemas are only documentation.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { FastifySchemaCompiler, FastifyServerOptions } from 'fastify';
import type { FastifyValidationResult } from 'fastify/types/schema.js';
import { jsonText } from './json-text.js';
import { schemaParts } from './schemas.js';

type Compilers = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>;

const ajv = new Ajv2020({
  // The schemas are our own, and a test checks that they are valid.
  validateSchema: false,
  code: { optimize: false },
  // One error is enough: a body may have a million.
  allErrors: false,
  allowUnionTypes: true,
  // Needed for the text of the error.
  verbose: true,
  keywords: ['x-allowed'],
  addUsedSchema: false,
});
for (const schema of schemaParts()) ajv.addSchema(schema);

/** Key: the text of the schema. */
const compiled = new Map<string, ValidateFunction>();

const checkLate: FastifySchemaCompiler<unknown> = ({ schema }) => {
  const text = JSON.stringify(schema);
  const check: FastifyValidationResult = (value: unknown) => {
    let validate = compiled.get(text);
    if (validate === undefined) compiled.set(text, (validate = ajv.compile(JSON.parse(text) as object)));
    const isRight = validate(value);
    check.errors = validate.errors ?? null;
    return isRight;
  };
  return check;
};

export const compilers: Compilers = {
  // Fastify's types expect the schema itself as the argument.
  buildValidator: (() => checkLate) as unknown as NonNullable<Compilers['buildValidator']>,
  buildSerializer: () => () => (value) => jsonText(value) ?? '',
};
