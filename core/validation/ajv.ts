/**
 * Ajv as this package uses it, at run time for the schemas of libraries and in the build for its
 * own (scripts/validators.js).
 *
 * Two keywords of our own: `x-ignored` (a reason) marks a key of Mochi that has no effect here:
 * using it gives a warning. `x-allowed` describes the allowed values in words, if the type alone
 * does not.
 */
import addFormats from 'ajv-formats';
import { _, Ajv2020, type CodeOptions, type KeywordCxt, Name, str } from 'ajv/dist/2020.js';

/** What a validation is called on: it collects the reports of `x-ignored`. */
export interface Collector {
  ignored: {
    /** JSON pointer of the value under the key. */
    pointer: string;
    reason: string;
  }[];
}

/**
 * @param code how it writes the code of a validation. Optimizing takes longer than the few
 *   validations of a process.
 */
export function newAjv(code: CodeOptions = { optimize: false }): Ajv2020 {
  const ajv = new Ajv2020({
    // It would take most of the time of a daemon's start: see checkSchema in schema.ts.
    validateSchema: false,
    code,
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
  ajv.addKeyword({ keyword: 'x-ignored', schemaType: 'string', errors: false, code: reportIgnored });
  return ajv;
}

/** Ajv's name for the pointer to the value that a function of the validation was called with. */
const INSTANCE_PATH = new Name('instancePath');

/** Ajv can only write a keyword to a file that is given as code. `passContext` makes `this` the collector. */
function reportIgnored({ gen, it, schema }: KeywordCxt): void {
  const pointer = str`${INSTANCE_PATH}${it.errorPath}`;
  gen.code(_`this.ignored.push({ pointer: ${pointer}, reason: ${schema as string} })`);
}
