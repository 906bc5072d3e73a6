/**
 * Bad configurations made from the schema itself, so that no key of it is left out: for every key one of the wrong type, and for
 * every object that is closed an unknown key.
 */
import { formatPath } from '../../core/validation/issues.js';
import { readSchema } from '../../core/validation/schema.js';

interface Schema {
  $ref?: string;
  type?: string | string[];
  enum?: unknown[];
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: boolean | Schema;
}

interface Bad {
  path: string;
  found: string;
  config: object;
}

type Path = readonly (string | number)[];

const root = readSchema(new URL('../../schemas/bedrock.schema.json', import.meta.url)) as Schema;

/** The least that an entry needs beside the key in question. */
const COMPANIONS: Record<string, object> = {
  '$.abt_io[0]': { pool: 0 },
  '$.mona[0]': { pool: 0 },
  '$.clients[0]': { name: 'c', type: 'warabi' },
  '$.margo.argobots.xstreams[0]': { scheduler: { pools: [0] } },
  '$.margo.argobots.xstreams[0].scheduler': { pools: [0] },
  '$.bedrock.tls': { cert: 'cert.pem', key: 'key.pem', client_ca: 'ca.pem' },
  '$.bedrock.remote_tls': { cert: 'cert.pem', key: 'key.pem' },
  '$.bedrock.remote_tokens[0]': { address: 'http://127.0.0.1:7480', token_file: 'there.token' },
  '$.bedrock.auth.certificates[0]': { subject: 'CN=app', grants: [] },
  '$.bedrock.auth.peers[0]': { uid: 1, grants: [] },
  '$.bedrock.auth.certificates[0].grants[0]': { scope: 'read' },
  '$.bedrock.auth.peers[0].grants[0]': { scope: 'read' },
  '$.bedrock.audit': { file: 'audit.jsonl' },
  '$.providers[0]': { type: 'warabi', config: { target: { type: 'memory' } } },
};

/** For every key a value that is of none of its types. */
export function wrongTypes(): Bad[] {
  const bad: Bad[] = [];
  walk(root, [], (schema, path) => {
    if (path.length === 0) return;
    const types = [schema.type ?? []].flat();
    const candidates: [string, unknown][] = [
      ['boolean', true],
      ['number', 1.5],
      ['object', {}],
    ];
    const wrong = candidates.find(([type]) => !types.includes(type));
    if (wrong === undefined || (types.length === 0 && schema.enum === undefined)) return;
    bad.push({ path: formatPath(path), found: JSON.stringify(wrong[1]), config: configWith(path, wrong[1]) });
  });
  return bad;
}

/** For every object that is closed a key that it does not know. */
export function unknownKeys(): Bad[] {
  const bad: Bad[] = [];
  walk(root, [], (schema, path) => {
    if (schema.additionalProperties !== false) return;
    const full = [...path, 'no_such_key'];
    bad.push({ path: formatPath(full), found: '1', config: configWith(full, 1) });
  });
  return bad;
}

function walk(schema: Schema, path: Path, visit: (schema: Schema, path: Path) => void): void {
  const actual = schema.$ref === undefined ? schema : { ...follow(schema.$ref), ...schema };
  visit(actual, path);
  for (const [key, property] of Object.entries(actual.properties ?? {}))
    walk(property, [...path, key], visit);
  if (actual.items !== undefined) walk(actual.items, [...path, 0], visit);
}

function follow(reference: string): Schema {
  const name = reference.replace('#/$defs/', '');
  return (root as unknown as { $defs: Record<string, Schema> }).$defs[name] ?? {};
}

/** A configuration that has `value` at `path`, and around it what its entries need. */
function configWith(path: Path, value: unknown, at: Path = []): object {
  const [step, ...rest] = path;
  const inner = (): unknown => (rest.length === 0 ? value : configWith(rest, value, [...at, step ?? '']));
  if (typeof step === 'number') return [inner()];
  return { ...COMPANIONS[formatPath(at)], [step ?? '']: inner() };
}
