/**
 * Finds the owner of a token, and the rights of clients without one. The doors ask once for each
 * connection, as long as it sends the same token.
 *
 * `version` changes whenever the rights of somebody change. A connection compares it with the
 * version that it has seen. So a revocation also reaches open connections, and costs nothing until
 * then.
 *
 * The file of the tokens is read again when it has changed, and on SIGHUP. A file that cannot be
 * used changes nothing, and is reported: a half-written file must not lock out everybody. To end
 * all access, write an empty list.
 */
import { stat } from 'node:fs/promises';
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.js';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';
import { Authority } from './identity.js';
import type { SocketIdentities } from './socket-identities.js';
import { parseToken, SecretCheck } from './token.js';
import { type FileMark, markOf, readTokenFile, type StoredToken } from './token-file.js';

/** How often the file is checked, milliseconds. fs.watch loses changes on some file systems. */
const LOOK_MS = 1000;

/** Used for the comparison if there is no token with the id, so that it takes as long. */
const NOBODY = new SecretCheck({ salt: 'A'.repeat(22), hash: 'A'.repeat(43) });

interface KnownToken {
  readonly check: SecretCheck;
  readonly authority: Authority;
}

/** The result for a token that was presented. */
export type Attempt = 'accepted' | 'refused' | 'expired';

export interface AccessOptions {
  /** Absolute path of the file of the tokens. */
  tokens: string;
  /** Identifies clients without a token; absent: they are unknown. */
  connections?: Pick<SocketIdentities, 'of'>;
  clock: Clock;
  logger: Logger;
}

export class Access {
  /** Changes whenever the rights of somebody change. */
  version = 1;
  /** How often tokens were presented: once for each connection, as long as it sends the same one. */
  readonly attempts: Record<Attempt, number> = { accepted: 0, refused: 0, expired: 0 };
  #tokens: ReadonlyMap<string, KnownToken> = new Map();
  #mark: FileMark = '';
  /** The state of the file that was found to be unusable, so that it is reported once. */
  #faultyMark: FileMark | undefined;
  /**
   * The clients that were identified by a certificate or over a unix socket. Each connection is
   * looked up once.
   */
  readonly #ofSockets = new WeakMap<Socket, Authority | null>();
  /** When the certificates of clients expire. */
  readonly #certificateEnds = new Set<number>();
  #nextExpiry = Infinity;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> = Promise.resolve();

  private constructor(private readonly options: AccessOptions) {}

  /** @throws CONFIG_INVALID if the file cannot be used */
  static async open(options: AccessOptions): Promise<Access> {
    const access = new Access(options);
    const { tokens, mark } = await readTokenFile(options.tokens);
    access.#take(tokens, mark);
    access.#timer = setInterval(access.#look, LOOK_MS).unref();
    return access;
  }

  /** Ends the checks of the file. */
  close(): void {
    clearInterval(this.#timer);
  }

  /**
   * The owner of a token.
   * @param text `bedrock_ID_SECRET`
   * @returns undefined if it is unknown or has expired
   */
  ofToken(text: string): Authority | undefined {
    const token = parseToken(text);
    if (token !== undefined) return this.ofSecret(token.id, token.secret);
    this.attempts.refused++;
    return undefined;
  }

  /** Identifies a client that has presented no token: by its certificate, or as a user of this machine. */
  ofSocket(socket: Socket): Authority | undefined {
    let found = this.#ofSockets.get(socket);
    if (found === undefined) {
      found = this.options.connections?.of(socket) ?? null;
      this.#ofSockets.set(socket, found);
      const { expiresAt } = found?.identity ?? {};
      if (expiresAt !== undefined) {
        this.#certificateEnds.add(expiresAt);
        this.#nextExpiry = Math.min(this.#nextExpiry, expiresAt);
      }
    }
    return found !== null && this.isValid(found) ? found : undefined;
  }

  /** @param secret the last part of a token, or all of it */
  ofSecret(id: string, secret: string): Authority | undefined {
    const whole = parseToken(secret);
    if (whole !== undefined && whole.id !== id) {
      this.attempts.refused++;
      return undefined;
    }
    const known = this.#tokens.get(id);
    const isRight = (known?.check ?? NOBODY).matches(whole?.secret ?? secret);
    const owner = isRight ? known?.authority : undefined;
    const attempt = owner === undefined ? 'refused' : this.isValid(owner) ? 'accepted' : 'expired';
    this.attempts[attempt]++;
    return attempt === 'accepted' ? owner : undefined;
  }

  /**
   * The present rights of somebody who was found earlier.
   * @returns undefined if the token was revoked or has expired
   */
  renewed(before: Authority): Authority | undefined {
    const { kind, name } = before.identity;
    if (kind !== 'token') return this.isValid(before) ? before : undefined;
    const known = this.#tokens.get(name)?.authority;
    return known !== undefined && this.#descends(known, before) && this.isValid(known) ? known : undefined;
  }

  /** How many tokens there are. */
  get tokens(): { readonly valid: number; readonly expired: number } {
    const all = [...this.#tokens.values()];
    const valid = all.filter(({ authority }) => this.isValid(authority)).length;
    return { valid, expired: all.length - valid };
  }

  /** Reads the file again, even if it seems unchanged. A failure is logged. */
  reload(): Promise<void> {
    // One read at a time, so that an older state never replaces a newer one.
    return (this.#reading = this.#reading.then(() => this.#read()));
  }

  readonly #secrets = new WeakMap<Authority, SecretCheck>();

  /** Whether both have the same secret: the id may have been given to another token meanwhile. */
  #descends(now: Authority, before: Authority): boolean {
    const secret = this.#secrets.get(before);
    return secret !== undefined && this.#secrets.get(now)?.isSame(secret) === true;
  }

  /** Whether it has not expired. */
  isValid({ identity: { expiresAt } }: Authority): boolean {
    return expiresAt === undefined || expiresAt > this.options.clock.now();
  }

  readonly #look = (): void => {
    if (this.options.clock.now() >= this.#nextExpiry) {
      this.version++;
      this.#noteNextExpiry();
    }
    void this.#lookAtFile();
  };

  async #lookAtFile(): Promise<void> {
    try {
      const mark = markOf(await stat(this.options.tokens));
      if (mark !== this.#mark && mark !== this.#faultyMark) await this.reload();
    } catch (error) {
      this.#report('', error);
    }
  }

  async #read(): Promise<void> {
    const { logger, tokens: file } = this.options;
    let mark: FileMark = '';
    try {
      mark = markOf(await stat(file));
      const read = await readTokenFile(file);
      const count = read.tokens.length;
      this.#take(read.tokens, read.mark);
      this.#faultyMark = undefined;
      logger.info(`the tokens were read again: there ${count === 1 ? 'is 1' : `are ${count}`}`);
    } catch (error) {
      this.#report(mark, error);
    }
  }

  #report(mark: FileMark, error: unknown): void {
    if (this.#faultyMark === mark) return;
    this.#faultyMark = mark;
    this.options.logger.error(`the tokens stay as they were: ${messageOf(error)}`);
  }

  #take(tokens: readonly StoredToken[], mark: FileMark): void {
    this.#tokens = new Map(
      tokens.map((token) => {
        const { id, grants, expiresAt } = token;
        const authority = new Authority({
          kind: 'token',
          name: id,
          grants,
          ...(expiresAt !== undefined && { expiresAt }),
        });
        const check = new SecretCheck(token);
        this.#secrets.set(authority, check);
        return [id, { check, authority }];
      }),
    );
    this.#mark = mark;
    this.version++;
    this.#noteNextExpiry();
  }

  #noteNextExpiry(): void {
    const now = this.options.clock.now();
    for (const end of this.#certificateEnds) if (end <= now) this.#certificateEnds.delete(end);
    const times = [...this.#tokens.values()].flatMap(({ authority }) => authority.identity.expiresAt ?? []);
    times.push(...this.#certificateEnds);
    this.#nextExpiry = times
      .filter((time) => time > now)
      .reduce((least, time) => Math.min(least, time), Infinity);
  }
}
