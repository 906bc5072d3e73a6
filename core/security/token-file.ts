/**
 * The file of the tokens: JSON, for its owner alone.
 *
 *     {"tokens": [{"id", "salt", "hash", "grants": [{"scope", "provider"?, "prefix"?}], "created", "expires"?}]}
 *
 * Times are in ISO 8601. A file that others can read or write is refused, as in ssh: a user who can
 * write it could give themselves access.
 */
import { open } from 'node:fs/promises';
import { BedrockError, systemCodeOf } from '../base/errors.js';
import { isRecord } from '../base/plain.js';
import { replaceFile } from '../base/replace-file.js';
import { withCure } from '../base/system-cure.js';
import { type Grant, type Scope, SCOPES } from './identity.js';
import { checkTokenId, type StoredSecret } from './token.js';

/** One token, as it is stored. */
export interface StoredToken extends StoredSecret {
  readonly id: string;
  readonly grants: readonly Grant[];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly expiresAt?: number;
}

/** Largest file, bytes: some 20,000 tokens. */
const MAX_BYTES = 2 ** 23;

/** Identifies a state of the file. */
export type FileMark = string;

export function markOf(stat: { ino: number; size: number; mtimeMs: number; ctimeMs: number }): FileMark {
  return `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`;
}

/**
 * Reads the tokens.
 * @throws CONFIG_INVALID, with what to do: the file does not exist, others can read it, or it is
 *   not a token file
 */
export async function readTokenFile(file: string): Promise<{ tokens: StoredToken[]; mark: FileMark }> {
  const handle = await open(file, 'r').catch((cause: unknown) => {
    const cure = systemCodeOf(cause) === 'ENOENT' ? `; "bedrock token new ID -f ${file}" makes one` : '';
    throw fault(file, `${withCure(cause)}${cure}`, cause);
  });
  try {
    // The state of the open file, not of its name, which may be replaced in between.
    const stat = await handle.stat();
    if (!stat.isFile()) throw fault(file, 'it is not a file');
    if (stat.size > MAX_BYTES) throw fault(file, `it has more than ${MAX_BYTES} bytes`);
    checkPrivate(file, stat.uid, stat.mode);
    return { tokens: parseTokens(file, await handle.readFile('utf8')), mark: markOf(stat) };
  } finally {
    await handle.close();
  }
}

/** @throws CONFIG_INVALID */
export function checkPrivate(file: string, uid: number, mode: number): void {
  const own = process.getuid?.() ?? uid;
  if (uid !== own && uid !== 0)
    throw fault(file, `it belongs to user ${uid}, and this runs as user ${own}; chown ${own} ${file}`);
  if ((mode & 0o077) !== 0)
    throw fault(
      file,
      `others can read or write it (its mode is ${(mode & 0o777).toString(8).padStart(4, '0')}); chmod 600 ${file}`,
    );
}

function parseTokens(file: string, text: string): StoredToken[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    // The parser's message shows a part of the text.
    throw fault(file, 'it is not JSON', cause);
  }
  const list = isRecord(document) ? document.tokens : undefined;
  if (!Array.isArray(list)) throw fault(file, 'it has no list "tokens"');
  const seen = new Set<string>();
  return list.map((entry: unknown, index) => {
    const token = parseEntry(entry);
    if (typeof token === 'string') throw fault(file, `tokens[${index}]: ${token}`);
    if (seen.has(token.id)) throw fault(file, `tokens[${index}]: another one has the id "${token.id}"`);
    seen.add(token.id);
    return token;
  });
}

const SALT = /^[A-Za-z0-9_-]{22}$/;
const HASH = /^[A-Za-z0-9_-]{43}$/;

/** @returns the token, or what is wrong with it */
function parseEntry(entry: unknown): StoredToken | string {
  if (!isRecord(entry)) return 'it is not an object';
  const { id, salt, hash, grants, created, expires, ...others } = entry;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return `it has an unknown key ${JSON.stringify(unknown)}`;
  if (typeof id !== 'string') return 'its id is not a string';
  try {
    checkTokenId(id);
  } catch (error) {
    return (error as Error).message;
  }
  if (typeof salt !== 'string' || !SALT.test(salt)) return 'its salt is not 16 bytes in base64url';
  if (typeof hash !== 'string' || !HASH.test(hash)) return 'its hash is not 32 bytes in base64url';
  const createdAt = timeOf(created);
  if (createdAt === undefined) return 'created is not a time in ISO 8601';
  const expiresAt = timeOf(expires);
  // Otherwise a mistake in the time would make the token last forever.
  if (expires !== undefined && expiresAt === undefined) return 'expires is not a time in ISO 8601';
  const allowed = parseGrants(grants);
  if (typeof allowed === 'string') return allowed;
  return { id, salt, hash, grants: allowed, createdAt, ...(expiresAt !== undefined && { expiresAt }) };
}

function timeOf(text: unknown): number | undefined {
  if (typeof text !== 'string' || !/^\d{4}-\d\d-\d\d/.test(text)) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** @returns the grants, or what is wrong with them */
export function parseGrants(value: unknown): Grant[] | string {
  if (!Array.isArray(value)) return 'its grants are not a list';
  const grants: Grant[] = [];
  for (const entry of value as unknown[]) {
    if (!isRecord(entry)) return 'a grant is not an object';
    const { scope, provider, prefix, ...others } = entry;
    const [unknown] = Object.keys(others);
    if (unknown !== undefined) return `a grant has an unknown key ${JSON.stringify(unknown)}`;
    if (!SCOPES.includes(scope as Scope)) return `the scope of a grant is one of ${SCOPES.join(', ')}`;
    if (provider !== undefined && (typeof provider !== 'string' || !/^(\*|[A-Za-z_]\w*)$/.test(provider)))
      return 'the provider of a grant is the name of one, or "*"';
    if (prefix !== undefined && (typeof prefix !== 'string' || prefix === ''))
      return 'the prefix of a grant is the beginning of a name, and not empty';
    if (prefix !== undefined && scope === 'admin')
      return 'a grant of admin has no prefix: what it allows concerns whole providers';
    grants.push({
      scope: scope as Scope,
      ...(provider !== undefined && { provider }),
      ...(prefix !== undefined && { prefix }),
    });
  }
  return grants;
}

/**
 * Changes the tokens of a file in one step; creates the file if it does not exist.
 * @param change gets the tokens, and returns the new ones
 * @throws CONFIG_INVALID, what `change` throws, errors of the system
 */
export async function changeTokenFile(
  file: string,
  change: (tokens: readonly StoredToken[]) => readonly StoredToken[],
): Promise<void> {
  await makeIfMissing(file);
  const { tokens } = await readTokenFile(file);
  await replaceFile(file, textOf(change(tokens)));
}

async function makeIfMissing(file: string): Promise<void> {
  try {
    const handle = await open(file, 'wx', 0o600);
    try {
      await handle.writeFile(textOf([]));
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
  }
}

function textOf(tokens: readonly StoredToken[]): string {
  const entries = tokens.map(({ id, salt, hash, grants, createdAt, expiresAt }) => ({
    id,
    salt,
    hash,
    grants,
    created: new Date(createdAt).toISOString(),
    ...(expiresAt !== undefined && { expires: new Date(expiresAt).toISOString() }),
  }));
  return `${JSON.stringify({ tokens: entries }, null, 2)}\n`;
}

function fault(file: string, what: string, cause?: unknown): BedrockError {
  return new BedrockError('CONFIG_INVALID', `the file of the tokens, ${file}, cannot be used: ${what}`, {
    ...(cause !== undefined && { cause }),
  });
}
