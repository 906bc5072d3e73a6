/**
 * A token, in one word: `bedrock_ID_SECRET`. The ID is public, and names the token in lists and
 * logs. The secret is 256 random bits.
 *
 * What is stored of the secret is a salted SHA-256. A slow hash, as for passwords, would gain
 * nothing: it makes guesses expensive, but 2^256 equally likely secrets cannot be guessed anyway.
 * And it would let anybody keep the daemon busy with false tokens.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { BedrockError, invalid } from '../base/errors.js';

const SECRET_BYTES = 32;
const SALT_BYTES = 16;

/** No underscore, which separates the parts of a token. */
const ID = /^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$/;
const TOKEN = /^bedrock_([A-Za-z0-9][A-Za-z0-9.-]{0,63})_([A-Za-z0-9_-]{43})$/;

/** A token as it was sent. */
export interface TokenText {
  readonly id: string;
  readonly secret: string;
}

/** What is stored of a secret, both in base64url. */
export interface StoredSecret {
  readonly salt: string;
  readonly hash: string;
}

/** @throws INVALID_ARGUMENT */
export function checkTokenId(id: string): void {
  if (ID.test(id)) return;
  throw invalid(
    'the id of a token has at most 64 letters, digits, dots and dashes, and begins with a letter or digit',
  );
}

/** Creates a secret. @returns the whole token, which is stored nowhere, and the part to store */
export function newToken(id: string): { text: string; stored: StoredSecret } {
  checkTokenId(id);
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const salt = randomBytes(SALT_BYTES);
  const hash = hashOf(salt, secret).toString('base64url');
  return { text: `bedrock_${id}_${secret}`, stored: { salt: salt.toString('base64url'), hash } };
}

/** @returns undefined if the text does not have the form of a token */
export function parseToken(text: string): TokenText | undefined {
  const [, id, secret] = TOKEN.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/**
 * The text of a token that a program was given, without the line end of a file.
 * @throws INVALID_ARGUMENT, which does not show it
 */
export function checkedToken(text: string, from: string): string {
  const token = text.trim();
  if (parseToken(token) !== undefined) return token;
  throw new BedrockError(
    'INVALID_ARGUMENT',
    `${from} is not a token: that is one word, bedrock_ID_SECRET, as "bedrock token new" prints it`,
  );
}

/** A stored secret in the form that others are compared with. */
export class SecretCheck {
  readonly #salt: Buffer;
  readonly #hash: Buffer;

  constructor({ salt, hash }: StoredSecret) {
    this.#salt = Buffer.from(salt, 'base64url');
    this.#hash = Buffer.from(hash, 'base64url');
  }

  /** Takes the same time for all secrets, also for one that is nearly right. */
  matches(secret: string): boolean {
    return timingSafeEqual(hashOf(this.#salt, secret), this.#hash);
  }

  isSame(other: SecretCheck): boolean {
    return this.#hash.equals(other.#hash);
  }
}

function hashOf(salt: Buffer, secret: string): Buffer {
  return createHash('sha256').update(salt).update(secret).digest();
}
