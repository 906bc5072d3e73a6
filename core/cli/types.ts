/**
 * `bedrock types`: prints the TypeScript type of a backend's or provider's settings, from their JSON Schema.
 *
 * It is the type that `create` gets: validated settings with defaults filled in, so a property with
 * a default is always present. json-schema-to-typescript does the work. It is a development
 * dependency of the caller's project: it adds 20 MB, which no daemon needs.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import type * as SchemaToTypescript from 'json-schema-to-typescript';
import { packageRoot } from '../../native/load.js';
import { BedrockError, messageOf } from '../base/errors.js';
import { subcommand } from './command-line.js';
import { ofNamedFile } from './failure.js';
import { interruptible } from './interruption.js';
import { writeWholeFile } from './output-file.js';
import { print } from './output.js';

const EXAMPLES = `
Examples:
  bedrock types schema.json
  bedrock types schema.json -o src/config.ts

It needs json-schema-to-typescript: npm install --save-dev json-schema-to-typescript
`;

const TOOL = 'json-schema-to-typescript';

type Schema = Record<string, unknown>;

export function addTypes(program: Command): void {
  subcommand(program, 'types')
    .description("Print the TypeScript type of the settings that a library's schema describes.")
    .argument('<SCHEMA>', 'a JSON Schema; its title is the name of the type')
    .option('-o, --output <FILE>', 'write to a file instead')
    .addHelpText('after', EXAMPLES)
    .action(types);
}

async function types(file: string, { output }: { output?: string }): Promise<void> {
  const schema = await readSchema(file);
  const { compile } = await loadTool(path.resolve(path.dirname(file)));
  const text = await compile(withDefaultsRequired(schema), 'Config', {
    additionalProperties: false,
    bannerComment: `/** Made from ${path.basename(file)} by \`bedrock types\`: do not edit. */`,
    cwd: path.resolve(path.dirname(file)),
    maxItems: -1,
    style: { singleQuote: true, bracketSpacing: true, printWidth: 110 },
  });
  if (output === undefined) await print(text);
  else await interruptible((signal) => writeWholeFile(output, Readable.from([Buffer.from(text)]), signal));
}

/** @throws CONFIG_INVALID if it is not a schema that a daemon would accept */
async function readSchema(file: string): Promise<Schema> {
  const text = await ofNamedFile(file, () => readFile(file, 'utf8'));
  // Loaded only now, like all large modules here, so that help and usage errors appear at once.
  const { compileSchema } = await import('../validation/schema.js');
  try {
    const schema: unknown = JSON.parse(text);
    if (!isSchema(schema)) throw new TypeError('a schema of settings is an object');
    compileSchema(schema);
    return schema;
  } catch (cause) {
    const reason = firstReasons(messageOf(cause));
    throw new BedrockError('CONFIG_INVALID', `${file} is not JSON Schema: ${reason}`, { cause });
  }
}

/** Ajv reports every alternative for each wrong path; one reason per path is enough. */
function firstReasons(message: string): string {
  const prefix = 'schema is invalid: ';
  if (!message.startsWith(prefix)) return message;
  const byPath = new Map<string, string>();
  for (const reason of message.slice(prefix.length).split(/, (?=data)/)) {
    const [dataPath = ''] = reason.split(' ', 1);
    if (!byPath.has(dataPath)) byPath.set(dataPath, reason.replace(/^data/, '').replace(/^\//, ''));
  }
  return [...byPath.values()].join('; ');
}

/** Loads it from the project that contains the schema, or else from this package. */
async function loadTool(folder: string): Promise<typeof SchemaToTypescript> {
  const { resolve: resolvePackage } = await import('import-meta-resolve');
  for (const from of new Set([folder, process.cwd(), packageRoot()])) {
    let url: string;
    try {
      url = resolvePackage(TOOL, pathToFileURL(path.join(from, 'from.js')).href);
    } catch {
      continue;
    }
    return (await import(url)) as typeof SchemaToTypescript;
  }
  throw new BedrockError(
    'LIBRARY_LOAD_FAILED',
    `this needs ${TOOL}, which is not installed: npm install --save-dev ${TOOL}`,
  );
}

/**
 * A property with a default is present after validation, except within anyOf, oneOf, not and if,
 * where defaults are not filled in.
 */
function withDefaultsRequired(schema: Schema): Schema {
  const filled: Schema = { ...schema };
  for (const key of ['properties', 'patternProperties', '$defs', 'definitions']) {
    const map = schema[key];
    if (!isSchema(map)) continue;
    filled[key] = Object.fromEntries(Object.entries(map).map(([name, value]) => [name, deep(value)]));
  }
  for (const key of ['items', 'additionalProperties']) {
    if (isSchema(schema[key])) filled[key] = withDefaultsRequired(schema[key]);
  }
  if (Array.isArray(schema.allOf)) filled.allOf = schema.allOf.map(deep);
  if (isSchema(schema.properties)) {
    const withDefault = Object.entries(schema.properties).flatMap(([name, value]) =>
      isSchema(value) && 'default' in value ? [name] : [],
    );
    const required = Array.isArray(schema.required) ? (schema.required as unknown[]) : [];
    filled.required = [...new Set([...required, ...withDefault])];
  }
  return filled;
}

function deep(value: unknown): unknown {
  return isSchema(value) ? withDefaultsRequired(value) : value;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
