/**
 * How Fastify checks requests and writes answers.
 *
 * A check is compiled when a request first needs it, and once in a process: most of a daemon's start would otherwise go into checks
 * that it never makes. Answers are written as plain JSON; their schemas are there to document them.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { FastifySchemaCompiler, FastifyServerOptions } from 'fastify';
import type { FastifyValidationResult } from 'fastify/types/schema.js';
import { jsonText } from './json-text.js';
import { schemaParts } from './schemas.js';

type Compilers = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>;

const ajv = new Ajv2020({
  // They are our own, and a test holds them valid.
  validateSchema: false,
  code: { optimize: false },
  // The first fault is enough: a body may have a million.
  allErrors: false,
  allowUnionTypes: true,
  // What the words of a refusal are made of.
  verbose: true,
  keywords: ['x-allowed'],
  addUsedSchema: false,
});
for (const schema of schemaParts()) ajv.addSchema(schema);

/** By the text of the schema. */
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
  // Fastify's types take the argument for the schema itself.
  buildValidator: (() => checkLate) as unknown as NonNullable<Compilers['buildValidator']>,
  buildSerializer: () => () => (value) => jsonText(value) ?? '',
};
