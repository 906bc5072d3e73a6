/**
 * Builds what has changed: the native addon if there is a compiler, and dist/ (types from the
 * schemas, JavaScript from TypeScript, the schemas themselves and the code of their validations).
 */
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint, mustTool, readStamp, root, writeStamp } from './run.js';
import { buildNative, buildRados } from './native.js';
import { setUp } from './setup.js';
import { validatorsOf } from './validators.js';

const STAMP = 'dist/.build.json';
const VALIDATORS = 'schemas/generated/validators.cjs';
const SCHEMAS = readdirSync(path.join(root, 'schemas')).filter((name) => name.endsWith('.schema.json'));

const NATIVE = readdirSync(path.join(root, 'native')).filter((name) => name.endsWith('.ts'));

/** @returns whether there is a native addon */
export async function build() {
  const hasNative = buildNative();
  buildRados();
  const types = fingerprint([
    ...SCHEMAS.map((name) => `schemas/${name}`),
    'package-lock.json',
    'scripts/build.js',
  ]);
  const generated = readStamp('schemas/generated/.types.json');
  if (generated.types !== types) {
    rmSync(path.join(root, 'schemas/generated'), { recursive: true, force: true });
    for (const name of SCHEMAS) await generateTypes(name);
    writeStamp('schemas/generated/.types.json', { types });
  }
  const sources = fingerprint(
    [
      'core',
      'backends',
      'providers',
      'dashboard',
      ...NATIVE.map((name) => `native/${name}`),
      'tsconfig.json',
      'tsconfig.build.json',
      'scripts/validators.js',
    ],
    types,
  );
  if (readStamp(STAMP).sources === sources && existsSync(path.join(root, VALIDATORS))) return hasNative;
  console.log('Building…');
  rmSync(path.join(root, 'dist'), { recursive: true, force: true });
  await mustTool('typescript/bin/tsc', ['-p', 'tsconfig.build.json']);
  for (const name of SCHEMAS) cpSync(path.join(root, 'schemas', name), path.join(root, 'dist/schemas', name));
  cpSync(path.join(root, 'dashboard'), path.join(root, 'dist/dashboard'), { recursive: true });
  const validators = await validatorsOf(SCHEMAS);
  for (const file of [VALIDATORS, `dist/${VALIDATORS}`]) writeFileSync(path.join(root, file), validators);
  chmodSync(path.join(root, 'dist/core/cli/main.js'), 0o755);
  writeStamp(STAMP, { sources });
  return hasNative;
}

async function generateTypes(name) {
  const output = `schemas/generated/${name.replace('.schema.json', '.ts')}`;
  await mustTool('json-schema-to-typescript/dist/src/cli.js', [
    '-i',
    `schemas/${name}`,
    '-o',
    output,
    '--no-additionalProperties',
    '--maxItems=-1',
  ]);
  writeFileSync(output, withMemberComments(readFileSync(output, 'utf8')));
}

/**
 * The tool leaves out the comment of a member whose type has a name of its own: the member gets the
 * comment of that type.
 */
function withMemberComments(text) {
  const types = text.matchAll(/^\/\*\*\n((?: \* .*\n)+) \*\/\nexport (?:interface|type) (\w+)/gm);
  const comments = new Map(Array.from(types, ([, comment, type]) => [type, comment]));
  return text.replaceAll(/(?<!\*\/\n)^( +)\w+\??: (\w+);\n/gm, (member, indent, type) => {
    const comment = comments.get(type);
    if (comment === undefined) return member;
    return `${indent}/**\n${comment.replaceAll(/^/gm, indent).trimEnd()}\n${indent} */\n${member}`;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.chdir(root);
  await setUp();
  await build();
}
