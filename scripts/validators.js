/** The code of the validations by this package's own schemas, which core/validation/schema.ts loads. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './run.js';

/**
 * @param names files in schemas/
 * @returns a CommonJS module that exports a validation for each of them, under its name. `dist/` has to be built.
 */
export async function validatorsOf(names) {
  // Loaded here, as the build is loaded before the packages are installed.
  const { default: standalone } = await import('ajv/dist/standalone/index.js');
  const { newAjv } = await import('../dist/core/validation/ajv.js');
  const ajv = newAjv({ source: true });
  for (const name of names) {
    ajv.addSchema(JSON.parse(readFileSync(path.join(root, 'schemas', name), 'utf8'), withoutProse), name);
  }
  return standalone.default(ajv, Object.fromEntries(names.map((name) => [name, name])));
}

/** The code contains the schemas that its errors refer to. No error uses a description. */
function withoutProse(key, value) {
  return key === 'description' && typeof value === 'string' ? undefined : value;
}
