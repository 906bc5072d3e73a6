/**
 * The certificate that a daemon shows, its private key, and those who may sign clients'
 * certificates: read from files, checked, and read again when the files change.
 *
 * A new set of files is used as a whole or not at all: certificate and key belong together, both
 * can be read, the certificate is valid now. Otherwise the old set stays in use, and one line of
 * the log says why. Open connections keep the set with which they began.
 *
 * Files are checked from time to time, not watched: renewals replace files by renames and links,
 * also on network file systems, and a check sees all of that. A renewal writes several files, so a
 * change counts when two checks in a row have found the same.
 */
import { createPrivateKey, constants as cryptoConstants, type KeyObject, X509Certificate } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { type Clock, systemClock } from '../base/clock.js';
import { BedrockError, messageOf } from '../base/errors.js';
import type { Logger } from '../base/logging.js';

/** Paths of the files, absolute, and how they are used. */
export interface TlsSettings {
  readonly cert: string;
  readonly key: string;
  readonly client_ca?: string;
  readonly client_certificates: 'required' | 'optional';
  readonly min_version: 'TLSv1.2' | 'TLSv1.3';
  readonly handshake_timeout_ms: number;
  readonly max_handshakes: number;
}

/** Interval between two looks at the files, milliseconds. */
const LOOK_MS = 5000;
/** Remaining time of validity from which on the log warns, milliseconds. */
const WARN_BEFORE_MS = 30 * 86_400_000;
/** Interval between two warnings. */
const WARN_AGAIN_MS = 86_400_000;

/**
 * For TLS 1.2: each has forward secrecy and authenticated encryption (Mozilla's "intermediate" profile,
 * https://wiki.mozilla.org/Security/Server_Side_TLS). The others are those of TLS 1.3.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** A set of files that was read and checked. */
interface Loaded {
  readonly options: SecureContextOptions;
  readonly notAfter: Date;
  /** Identifies the files that it was read from. */
  readonly signature: string;
}

export class TlsCertificates {
  #loaded: Loaded;
  /** What the last check found. */
  #seen: string;
  /** The files that were last read, usable or not. */
  #tried: string;
  #timer: NodeJS.Timeout | undefined;
  #isLooking = false;
  #warnedAt = -Infinity;
  /** Number of changes that could not be used. */
  failures = 0;
  readonly #listeners: ((options: SecureContextOptions) => void)[] = [];

  private constructor(
    readonly settings: TlsSettings,
    private readonly logger: Logger,
    private readonly clock: Clock,
    loaded: Loaded,
  ) {
    this.#loaded = loaded;
    this.#seen = this.#tried = loaded.signature;
  }

  /** @throws START_FAILED if they cannot be used */
  static async load(
    settings: TlsSettings,
    logger: Logger,
    clock: Clock = systemClock,
  ): Promise<TlsCertificates> {
    const certificates = new TlsCertificates(settings, logger, clock, await load(settings, clock));
    certificates.#warnIfLate();
    return certificates;
  }

  /** For `tls.createServer`. */
  get options(): SecureContextOptions {
    return this.#loaded.options;
  }

  /** End of the certificate's validity. */
  get notAfter(): Date {
    return this.#loaded.notAfter;
  }

  /** Calls back with each new set of files. */
  onRenewed(listener: (options: SecureContextOptions) => void): void {
    this.#listeners.push(listener);
  }

  /** Checks the files every few seconds from now on; does not keep the process alive. */
  watch(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Checks once; uses changed files if they are the same as at the previous check. Never throws. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      this.#warnIfLate();
      const found = await signatureOf(this.settings);
      const isAtRest = found === this.#seen;
      this.#seen = found;
      if (isAtRest && found !== this.#tried) await this.#renew();
    } catch {
      // A file is missing, as during a renewal. The loaded set stays in use, and the log warns
      // before its validity ends.
    } finally {
      this.#isLooking = false;
    }
  }

  /** Reads the files now, changed or not. The result is logged. Never throws. */
  async renew(): Promise<void> {
    await this.#renew();
  }

  async #renew(): Promise<void> {
    const { cert } = this.settings;
    try {
      const loaded = await load(this.settings, this.clock);
      this.#tried = this.#seen = loaded.signature;
      this.#loaded = loaded;
      for (const listener of this.#listeners) listener(loaded.options);
      this.logger.info(
        `the certificate was read again: ${cert}, valid until ${loaded.notAfter.toISOString()}`,
      );
      this.#warnedAt = -Infinity;
      this.#warnIfLate();
    } catch (error) {
      this.failures++;
      this.#tried = this.#seen = await signatureOf(this.settings).catch(() => '');
      this.logger.error(
        `the present certificate stays in use, as the new one cannot be used: ${messageOf(error)}`,
      );
    }
  }

  #warnIfLate(): void {
    const now = this.clock.now();
    const { notAfter } = this.#loaded;
    const left = notAfter.getTime() - now;
    if (left > WARN_BEFORE_MS || now - this.#warnedAt < WARN_AGAIN_MS) return;
    this.#warnedAt = now;
    const { cert } = this.settings;
    const until = notAfter.toISOString();
    if (left <= 0) this.logger.error(`the certificate ${cert} has expired: ${until}; clients refuse it`);
    else
      this.logger.warning(
        `the certificate ${cert} expires in ${Math.floor(left / 86_400_000)} days: ${until}; renew it`,
      );
  }
}

/** @throws START_FAILED */
async function load(settings: TlsSettings, clock: Clock): Promise<Loaded> {
  const { cert: certFile, key: keyFile, client_ca: caFile, min_version: minVersion } = settings;
  const signature = await signatureOf(settings).catch(() => '');
  const [cert, key, ca] = await Promise.all([
    readPem('cert', certFile),
    readKey(keyFile),
    caFile === undefined ? undefined : readPem('client_ca', caFile),
  ]);
  const certificate = parse('cert', certFile, () => new X509Certificate(cert));
  const privateKey = parse('key', keyFile, () => privateKeyOf(key));
  if (ca !== undefined) parse('client_ca', caFile ?? '', () => new X509Certificate(ca));
  if (!certificate.checkPrivateKey(privateKey))
    throw fault('key', keyFile, `it is not the key of the certificate ${certFile}`);
  const notAfter = new Date(certificate.validTo);
  const now = clock.now();
  if (notAfter.getTime() <= now)
    throw fault('cert', certFile, `it has expired: ${notAfter.toISOString()}; renew it`);
  const notBefore = new Date(certificate.validFrom);
  if (notBefore.getTime() > now)
    throw fault('cert', certFile, `it is valid only from ${notBefore.toISOString()} on`);
  const options: SecureContextOptions = {
    cert,
    key,
    ...(ca !== undefined && { ca }),
    minVersion,
    ciphers: CIPHERS,
    // Otherwise a client could make the daemon compute without end.
    secureOptions: cryptoConstants.SSL_OP_NO_RENEGOTIATION,
  };
  parse('cert', certFile, () => createSecureContext(options));
  return { options, notAfter, signature };
}

type Role = 'cert' | 'key' | 'client_ca';

function fault(role: Role, file: string, why: string, cause?: unknown): BedrockError {
  return new BedrockError('START_FAILED', `${file} (bedrock.tls.${role}) cannot be used: ${why}`, { cause });
}

function parse<T>(role: Role, file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw fault(role, file, messageOf(error), error);
  }
}

function privateKeyOf(pem: Buffer): KeyObject {
  // Checked before the key is used, since Node.js would only say that a passphrase is missing.
  if (/ENCRYPTED/.test(pem.toString('latin1')))
    throw new Error(
      'it has a passphrase, which nobody can enter at a start; store it without one: openssl pkey',
    );
  return createPrivateKey(pem);
}

async function readPem(role: Role, file: string): Promise<Buffer> {
  return withFile(role, file, () => undefined);
}

/**
 * Refuses a key that others than its owner and its group may read, as ssh does: it may be known to
 * anyone on the machine, and a warning would not change that. The group may read it, as it is usual
 * for the keys of a machine (root:ssl-cert, 0640).
 */
async function readKey(file: string): Promise<Buffer> {
  return withFile('key', file, (mode) => {
    if ((mode & 0o027) === 0) return undefined;
    const found = (mode & 0o777).toString(8).padStart(4, '0');
    return `others than its owner may read or change it, as its mode is ${found}; chmod 600 ${file}, or 640 for its group`;
  });
}

async function withFile(
  role: Role,
  file: string,
  check: (mode: number) => string | undefined,
): Promise<Buffer> {
  let text: Buffer;
  let why: string | undefined;
  try {
    const handle = await open(file, 'r');
    try {
      // The state of the file that is read: its name may lead elsewhere later.
      why = check((await handle.stat()).mode);
      text = await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fault(role, file, messageOf(error), error);
  }
  if (why !== undefined) throw fault(role, file, why);
  return text;
}

/** A text that changes with the files. @throws the system's error */
async function signatureOf({ cert, key, client_ca: ca }: TlsSettings): Promise<string> {
  const files = [cert, key, ...(ca === undefined ? [] : [ca])];
  const found = await Promise.all(files.map((file) => stat(file, { bigint: true })));
  return found
    .map(({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(':'))
    .join(' ');
}
