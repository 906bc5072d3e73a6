/** Configurations that must be refused: the table in bad-configs.json, and every key of the schema with a value of the wrong type. */
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BedrockError } from '../../core/base/errors.js';
import { type ConfigFormat, configFromObject, parseConfig } from '../../core/config/document.js';
import { checkConfig } from '../../core/daemon/bootstrap.js';
import type { ConfigIssue } from '../../core/validation/issues.js';
import { unknownKeys, wrongTypes } from './schema-walk.js';

interface Row {
  test: string;
  /** The configuration, as an object… */
  input?: object;
  /** …or as a text. */
  text?: string;
  format?: ConfigFormat;
  /** Files beside the configuration. */
  files?: Record<string, string>;
  code: string;
  /** Where the one fault is expected… */
  path?: string;
  /** …or all of them, in any order. */
  issues?: { code: string; path: string }[];
  line?: number;
  column?: number;
  /** What the message must name: the true cause, or what is known instead. */
  says?: string;
}

const rows = JSON.parse(
  readFileSync(path.join(import.meta.dirname, 'bad-configs.json'), 'utf8'),
) as readonly Row[];

let home: string;
beforeAll(async () => {
  home = await realpath(await mkdtemp(path.join(tmpdir(), 'bedrock-bad-configs-')));
});
afterAll(() => rm(home, { recursive: true }));

async function refusalOf(check: () => Promise<unknown>): Promise<BedrockError> {
  try {
    await check();
  } catch (error) {
    if (error instanceof BedrockError) return error;
    throw error;
  }
  throw new Error('the configuration was taken');
}

function issuesOf(error: BedrockError): readonly ConfigIssue[] {
  return error.details.issues as readonly ConfigIssue[];
}

function places(issues: readonly { code: string; path: string }[]): string[] {
  return issues.map(({ code, path }) => `${code} ${path}`).sort();
}

describe('a bad configuration', () => {
  it.each(rows.map((row, index) => ({ ...row, index })))('$test', async (row) => {
    const directory = path.join(home, String(row.index));
    await mkdir(directory);
    for (const [name, content] of Object.entries(row.files ?? {})) {
      await mkdir(path.dirname(path.join(directory, name)), { recursive: true });
      await writeFile(path.join(directory, name), content);
    }
    const expected = places(row.issues ?? [{ code: row.code, path: row.path ?? '' }]);
    const text = row.text ?? JSON.stringify(row.input, null, 2);
    const format = row.format ?? 'json';

    const error = await refusalOf(async () => checkConfig(parseConfig(text, format, 'bad.json', directory)));
    const issues = issuesOf(error);
    expect(places(issues)).toEqual(expected);
    expect(error.code).toBe(row.code);
    expect(error.message.split('\n')).toHaveLength(issues.length);
    if (format === 'json') {
      for (const issue of issues)
        expect(issue).toMatchObject({ line: expect.any(Number), column: expect.any(Number) });
    }
    if (row.line !== undefined) expect(issues[0]).toMatchObject({ line: row.line, column: row.column });
    if (row.says !== undefined) expect(error.message).toContain(row.says);

    if (row.input === undefined) return;
    const { input } = row;
    const same = await refusalOf(async () => checkConfig(configFromObject(input, directory)));
    expect(places(issuesOf(same))).toEqual(expected);
  });

  it.each<ConfigFormat>(['json', 'toml'])('refuses %s of too many levels', async (format) => {
    const lists = '['.repeat(50_000) + ']'.repeat(50_000);
    const text = format === 'json' ? `{ "abt_io": ${lists} }` : `abt_io = ${lists}`;
    const error = await refusalOf(async () => checkConfig(parseConfig(text, format, 'bad')));
    expect(places(issuesOf(error))).toEqual(['CONFIG_INVALID $']);
  });

  it('has a title of its own for each row', () => {
    expect(new Set(rows.map(({ test }) => test)).size).toBe(rows.length);
  });
});

describe('the schema of the configuration', () => {
  it.each(wrongTypes())('refuses $found at $path', async ({ path, config }) => {
    const error = await refusalOf(() => checkConfig(config));
    expect(places(issuesOf(error))).toEqual([`CONFIG_INVALID ${path}`]);
  });

  it.each(unknownKeys())('refuses the unknown key $path', async ({ path, config }) => {
    const error = await refusalOf(() => checkConfig(config));
    expect(places(issuesOf(error))).toEqual([`CONFIG_INVALID ${path}`]);
  });
});

describe('faults that only a program can make', () => {
  class Settings {
    readonly level = 'info';
  }
  const circular: Record<string, unknown> = {};
  circular.again = { circular };
  const endless: unknown[] = [];
  endless.push({ endless });

  it.each<[string, object, string]>([
    ['a function', { bedrock: { drain_timeout_ms: () => 1 } }, '$.bedrock.drain_timeout_ms'],
    ['a bigint', { providers: [{ type: 'warabi', provider_id: 1n }] }, '$.providers[0].provider_id'],
    ['a symbol', { margo: { rpc_pool: Symbol('pool') } }, '$.margo.rpc_pool'],
    ['an instance of a class', { bedrock: { log: new Settings() } }, '$.bedrock.log'],
    ['an array that contains itself', { libraries: endless }, '$.libraries[0].endless'],
    [
      'an object that contains itself',
      { margo: { monitoring: circular } },
      '$.margo.monitoring.again.circular',
    ],
  ])('refuses %s', async (_what, config, where) => {
    const error = await refusalOf(() => checkConfig(config));
    expect(places(issuesOf(error))).toContain(`CONFIG_INVALID ${where}`);
  });

  it('takes an absent value for an absent key', async () => {
    await expect(checkConfig({ margo: undefined, bedrock: { log: undefined } } as object)).resolves.toEqual(
      [],
    );
  });
});

describe('the report of a file', () => {
  const text = `{
  // Everything is wrong here.
  "port": 80,
  "margo": { "mercury": { "address": "na+sm" } },
  "libraries": ["./nowhere.mjs"],
  "bedrock": { "provider_id": -1 },
  "providers": [
    {
      "name": "a", "type": "warabi", "provider_id": 7,
      "config": { "target": { "type": "memory", "config": { "max_bytes": "1 GiB" } } }
    },
    { "name": "a", "type": "sdskv", "pool": "fast", "dependencies": {} }
  ]
}`;

  it('has all faults at once, in the order of the text, each with file, line, path, found value and what is allowed', async () => {
    const file = path.join(home, 'bedrock.json');
    await writeFile(file, text);
    const error = await refusalOf(() => checkConfig(file));
    const lines = error.message.split('\n');
    const expected: [place: string, path: string, found: string, allowed: string][] = [
      ['3:3', '$.port', 'port', 'margo'],
      ['4:27', '$.margo.mercury.address', '"na+sm"', 'http://host:port'],
      ['5:17', '$.libraries[0]', 'nowhere.mjs', path.join(home, 'nowhere.mjs')],
      ['6:16', '$.bedrock.provider_id', '-1', '65534'],
      ['10:61', '$.providers[0].config.target.config.max_bytes', '"1 GiB"', '9007199254740991'],
      ['12:7', '$.providers[1].name', '"a"', '$.providers[0]'],
      ['12:20', '$.providers[1].type', '"sdskv"', 'warabi'],
      ['12:37', '$.providers[1].pool', '"fast"', '__primary__'],
    ];
    expect(lines).toHaveLength(expected.length);
    for (const [index, [place, where, found, allowed]] of expected.entries()) {
      const line = lines[index] ?? '';
      expect(line.startsWith(`${file}:${place}: ${where}: `)).toBe(true);
      expect(line).toContain(found);
      expect(line).toContain(allowed);
    }
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.details).toMatchObject({ source: file });
  });

  it('names the code that all faults agree on', async () => {
    const error = await refusalOf(() => checkConfig({ libraries: ['./nowhere.mjs', './nothing.mjs'] }));
    expect(error.code).toBe('LIBRARY_LOAD_FAILED');
  });

  it('refuses a file that cannot be read with CONFIG_INVALID', async () => {
    const missing = await refusalOf(() => checkConfig(path.join(home, 'missing.json')));
    expect(missing.code).toBe('CONFIG_INVALID');
    const folder = await refusalOf(() => checkConfig(home));
    expect(folder.code).toBe('CONFIG_INVALID');
  });

  it('does not blame a line of the file for the address that is given in its place', async () => {
    const document = parseConfig(
      '{ "margo.mercury.address": "unix:/tmp/fine.sock" }',
      'json',
      'bedrock.json',
    );
    const error = await refusalOf(() => checkConfig(document, { address: 'garbage' }));
    expect(issuesOf(error)).toHaveLength(1);
    expect(issuesOf(error)[0]).toMatchObject({ code: 'CONFIG_INVALID', path: '$.margo.mercury.address' });
    expect(issuesOf(error)[0]).not.toHaveProperty('line');
  });

  it('lets an address that is given take the place of a bad one', async () => {
    const config = { margo: { mercury: { address: 'na+sm' } } };
    await expect(checkConfig(config, { address: 'http://127.0.0.1:0' })).resolves.toEqual([]);
  });
});
