import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Logger } from '../../core/base/logging.js';
import { Access } from '../../core/security/access.js';
import { Authority, KNOWN, NEED } from '../../core/security/identity.js';
import { newToken, parseToken } from '../../core/security/token.js';
import { changeTokenFile, readTokenFile, type StoredToken } from '../../core/security/token-file.js';

let folder: string;
let file: string;
let now = 1_000_000;
const clock = { now: () => now };
const quiet: Logger = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warning: () => undefined,
  error: () => undefined,
  critical: () => undefined,
  child: () => quiet,
};

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-tokens-'));
  file = path.join(folder, 'tokens.json');
});
afterEach(() => rm(folder, { recursive: true }));

/** Adds a token to the file. @returns its text */
async function add(id: string, more: Partial<StoredToken> = {}): Promise<string> {
  const { text, stored } = newToken(id);
  const entry: StoredToken = { id, ...stored, grants: [{ scope: 'write' }], createdAt: 0, ...more };
  await changeTokenFile(file, (tokens) => [...tokens.filter((one) => one.id !== id), entry]);
  return text;
}

describe('a token', () => {
  it('is one word, whose secret is 256 bits and not in the file', async () => {
    const text = await add('app');
    const { id, secret = '' } = parseToken(text) ?? {};
    expect(id).toBe('app');
    expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
    expect(await readFile(file, 'utf8')).not.toContain(secret);
    expect(parseToken(`${text}x`)).toBeUndefined();
  });

  it('lets its owner in, and nobody with another secret or id', async () => {
    const text = await add('app');
    const other = await add('other');
    const access = await Access.open({ tokens: file, clock, logger: quiet });
    const secret = parseToken(text)?.secret ?? '';
    expect(access.ofToken(text)?.everywhere).toBe(KNOWN | NEED.read | NEED.write);
    expect(access.ofSecret('app', secret)?.who).toBe('token app');
    expect(access.ofSecret('app', text)?.who).toBe('token app');
    expect(access.ofSecret('other', text)).toBeUndefined();
    expect(access.ofSecret('other', secret)).toBeUndefined();
    expect(access.ofSecret('nobody', secret)).toBeUndefined();
    expect(access.ofToken(other.replace('_other_', '_app_'))).toBeUndefined();
    expect(access.ofToken('')).toBeUndefined();
    expect(access.ofSecret('__proto__', secret)).toBeUndefined();
    access.close();
  });

  it('ends when it expires, also for those who are let in already', async () => {
    const text = await add('app', { expiresAt: now + 10 });
    const access = await Access.open({ tokens: file, clock, logger: quiet });
    const known = access.ofToken(text);
    expect(known && access.renewed(known)).toBe(known);
    now += 10;
    expect(access.ofToken(text)).toBeUndefined();
    expect(known && access.renewed(known)).toBeUndefined();
    access.close();
  });

  it('is no longer needed with a certificate until that ends', async () => {
    await changeTokenFile(file, () => []);
    const grants = [{ scope: 'read' }] as const;
    const holder = new Authority({ kind: 'certificate', name: 'CN=app', grants, expiresAt: now + 10 });
    const access = await Access.open({
      tokens: file,
      connections: { of: () => holder },
      clock,
      logger: quiet,
    });
    const socket = new Socket();
    expect([access.ofSocket(socket), access.renewed(holder)]).toEqual([holder, holder]);
    now += 10;
    expect([access.ofSocket(socket), access.renewed(holder)]).toEqual([undefined, undefined]);
    access.close();
  });

  it('that is revoked, or replaced by another of its id, lets nobody in any more', async () => {
    const text = await add('app');
    const access = await Access.open({ tokens: file, clock, logger: quiet });
    const known = access.ofToken(text);
    const { version } = access;
    const second = await add('app');
    await access.reload();
    expect(access.version).not.toBe(version);
    expect(known && access.renewed(known)).toBeUndefined();
    expect(access.ofToken(text)).toBeUndefined();
    expect(access.ofToken(second)).toBeDefined();
    await changeTokenFile(file, () => []);
    await access.reload();
    expect(access.ofToken(second)).toBeUndefined();
    access.close();
  });
});

describe('the file of the tokens', () => {
  it('is made for its owner alone, and stays so', async () => {
    await add('app');
    await add('other');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it.each([0o644, 0o620, 0o606])('is refused if others can use it: mode %o', async (mode) => {
    await add('app');
    await chmod(file, mode);
    await expect(readTokenFile(file)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`chmod 600 ${file}`),
    });
  });

  const entry = {
    id: 'a',
    salt: 'A'.repeat(22),
    hash: 'A'.repeat(43),
    grants: [{ scope: 'read' }],
    created: '2026-01-01T00:00:00Z',
  };
  it.each([
    ['no JSON', '{'],
    ['no list', '{"tokens": {}}'],
    ['an unknown key', { ...entry, scope: 'read' }],
    ['an id with an underscore', { ...entry, id: 'a_b' }],
    ['a short hash', { ...entry, hash: 'A' }],
    ['an unknown scope', { ...entry, grants: [{ scope: 'root' }] }],
    ['an empty prefix', { ...entry, grants: [{ scope: 'read', prefix: '' }] }],
    ['a prefix of admin', { ...entry, grants: [{ scope: 'admin', prefix: 'a' }] }],
    ['an end that is no time', { ...entry, expires: 'soon' }],
    ['a misspelt end', { ...entry, expire: '2026-01-01T00:00:00Z' }],
    ['two of one id', [entry, entry]],
  ])('is refused with %s', async (_what, found) => {
    const text = typeof found === 'string' ? found : JSON.stringify({ tokens: [found].flat() });
    await writeFile(file, text, { mode: 0o600 });
    await expect(readTokenFile(file)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('that cannot be used any more changes nothing', async () => {
    const text = await add('app');
    const access = await Access.open({ tokens: file, clock, logger: quiet });
    await writeFile(file, '{"tokens":');
    await access.reload();
    expect(access.ofToken(text)).toBeDefined();
    await rm(file);
    await access.reload();
    expect(access.ofToken(text)).toBeDefined();
    access.close();
  });
});
