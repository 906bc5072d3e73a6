/**
 * The audit log: who has administered the daemon, from where, what, and with which outcome, and who
 * was refused. One JSON object per line, in a file of its own, `bedrock.audit.file`.
 *
 * - A line never holds a secret: arguments, bodies and queries are not recorded, and a token within
 *   a path is blanked out.
 * - A slow disk delays no request. Lines that it does not accept are lost; the log and the audit
 *   log say how many.
 * - Refused clients cannot fill the disk: beyond `MOST_REFUSALS` a second, refusals are only
 *   counted, and the count is recorded. Administrative calls are always recorded.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.js';
import { messageOf } from '../base/errors.js';
import { LogFile } from '../base/log-file.js';
import type { Logger } from '../base/logging.js';

/** Refusals that are recorded each second. */
const MOST_REFUSALS = 100;

/** Longest text of a field, characters. */
const MAX_FIELD = 512;

/** Only the daemon's user may read the file. */
const FILE_MODE = 0o600;

/** A token, or the beginning of one, anywhere in a text. */
const TOKENS = /bedrock_([A-Za-z0-9][A-Za-z0-9.-]{0,63})_[A-Za-z0-9_-]*/g;

/** Codes of requests that were refused because of their sender, or of their number. */
export const REFUSALS: ReadonlySet<string> = new Set([
  'UNAUTHENTICATED',
  'PERMISSION_DENIED',
  'FORBIDDEN',
  'RATE_LIMITED',
]);

/** The `outcome` of a request that was carried out. */
export const DONE = 'ok';

export interface AuditEvent {
  /** `http`, `resp`, or `signal`. */
  readonly door: string;
  /** As `Authority.who`. */
  readonly who: string;
  /** Address and port, `unix`, or `unknown` for a connection that was gone when it was accepted. */
  readonly from: string;
  /** Method and path, or a command. */
  readonly what: string;
  /** `ok`, or the code of the error. */
  readonly outcome: string;
}

export interface AuditOptions {
  /** Absolute path. */
  file: string;
  clock: Clock;
  logger: Logger;
}

export class AuditLog {
  /** Lines that were recorded. */
  lines = 0;
  /** Refusals that were only counted. */
  unrecorded = 0;
  readonly #file: LogFile;
  #refusals = 0;
  #left = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(private readonly options: AuditOptions) {
    this.#file = new LogFile(options.file, FILE_MODE);
    this.#file.onLoss = (reason) => options.logger.warning(`the audit log is losing lines: ${reason}`);
    this.#file.onGap = (lines, reason) => {
      options.logger.warning(`${lines} lines of the audit log were lost: ${reason}`);
      this.#write({ event: 'lost', lines });
    };
  }

  /** @throws START_FAILED */
  static async open(options: AuditOptions): Promise<AuditLog> {
    const audit = new AuditLog(options);
    await audit.#file.open('the audit log');
    return audit;
  }

  /** Lines that the disk has not accepted. */
  get lost(): number {
    return this.#file.lostLines;
  }

  /** Records an administrative call. */
  record(event: AuditEvent): void {
    this.#write({ event: 'call', ...bounded(event) });
  }

  /** Records a request that was refused. */
  refused(event: AuditEvent): void {
    this.#timer ??= setTimeout(this.#nextSecond, 1000).unref();
    if (this.#refusals++ < MOST_REFUSALS) this.#write({ event: 'refusal', ...bounded(event) });
    else {
      this.#left++;
      this.unrecorded++;
    }
  }

  /** Continues with the file that the name now leads to. The result is logged. */
  async reopen(): Promise<void> {
    const { logger, file } = this.options;
    try {
      const fault = await this.#file.reopen();
      if (fault !== undefined) logger.warning(`the audit log may lack lines: ${fault}`);
      logger.info(`the audit log was reopened: ${file}`);
    } catch (error) {
      logger.error(`the audit log cannot be reopened, and continues in the old file: ${messageOf(error)}`);
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#tellLeft();
    const { lines, reason } = await this.#file.close();
    if (lines > 0) this.options.logger.warning(`${lines} lines of the audit log were lost: ${reason}`);
  }

  readonly #nextSecond = (): void => {
    this.#timer = undefined;
    this.#refusals = 0;
    this.#tellLeft();
  };

  #tellLeft(): void {
    if (this.#left === 0) return;
    this.#write({ event: 'refusals', count: this.#left });
    this.#left = 0;
  }

  #write(fields: object): void {
    this.lines++;
    const time = new Date(this.options.clock.now()).toISOString();
    this.#file.stream.write(`${JSON.stringify({ time, ...fields })}\n`);
  }
}

function bounded({ door, who, from, what, outcome }: AuditEvent): AuditEvent {
  return { door, who: who.slice(0, MAX_FIELD), from, what: withoutTokens(what).slice(0, MAX_FIELD), outcome };
}

/** A text without the secrets of tokens in it, written as they are or percent-encoded. */
export function withoutTokens(text: string): string {
  let plain = text;
  try {
    plain = decodeURIComponent(text);
  } catch {
    // It is not percent-encoded.
  }
  TOKENS.lastIndex = 0;
  return (TOKENS.test(plain) ? plain : text).replace(TOKENS, 'bedrock_$1_…');
}

/** The part of a connection that tells where it comes from. */
type Connection = Pick<Socket, 'remoteAddress' | 'remotePort'>;

/**
 * Remembers where a connection comes from. Call it when the connection is accepted: after a reset
 * the system no longer tells, and a client that resets its connections could not be traced.
 */
export function rememberOrigin(connection: Connection): void {
  originOf(connection);
}

/** Where a connection comes from. */
export function originOf(connection: Connection): string {
  const { remoteAddress, remotePort = 0 } = connection;
  if (remoteAddress === undefined) return isPipe(connection) ? 'unix' : 'unknown';
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, '');
  return address.includes(':') ? `[${address}]:${remotePort}` : `${address}:${remotePort}`;
}

/** Whether it is a connection of a unix socket. In Node.js, only the kind of its handle tells. */
function isPipe(connection: object): boolean {
  const { _handle: handle } = connection as { readonly _handle?: object | null };
  return handle?.constructor.name === 'Pipe';
}
