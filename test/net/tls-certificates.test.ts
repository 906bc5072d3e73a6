/** The files of bedrock.tls: what is refused, and what a change of them does. */
import { chmod, copyFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { systemClock } from '../../core/base/clock.js';
import { TlsCertificates, type TlsSettings } from '../../core/net/tls-certificates.js';
import { Authority, type KeyPair, openssl } from '../fixtures/certificates.js';
import { recordingLogger } from '../fixtures/recording-logger.js';

const DAY_MS = 86_400_000;

openssl.describe('the certificate of a daemon', () => {
  let authority: Authority;
  let pair: KeyPair;
  let other: KeyPair;
  beforeAll(async () => {
    authority = await Authority.make();
    [pair, other] = await Promise.all([authority.sign(), authority.sign()]);
  });
  afterAll(() => authority.remove());

  const settings = (files: KeyPair & { client_ca?: string }): TlsSettings => ({
    client_certificates: 'required',
    min_version: 'TLSv1.2',
    handshake_timeout_ms: 10_000,
    max_handshakes: 8,
    ...files,
  });
  const { logger: nobody } = recordingLogger();
  const load = (files: KeyPair & { client_ca?: string }, days = 0): Promise<TlsCertificates> =>
    TlsCertificates.load(settings(files), nobody, { now: () => systemClock.now() + days * DAY_MS });

  /** A pair of its own, which a test may change. */
  async function copyOf({ cert, key }: KeyPair, name: string): Promise<KeyPair> {
    const copy = { cert: authority.path(`${name}.pem`), key: authority.path(`${name}-key.pem`) };
    await copyFile(cert, copy.cert);
    await copyFile(key, copy.key);
    return copy;
  }

  async function replace(files: KeyPair, by: KeyPair): Promise<void> {
    const next = await copyOf(by, 'next');
    await rename(next.cert, files.cert);
    await rename(next.key, files.key);
  }

  openssl.it('is refused if it does not exist, is none, or has another key', async () => {
    const garbage = authority.path('garbage');
    await writeFile(garbage, 'no certificate', { mode: 0o600 });
    for (const files of [
      { ...pair, cert: authority.path('nothing') },
      { ...pair, key: authority.path('nothing') },
      { ...pair, cert: garbage },
      { ...pair, key: garbage },
      { ...pair, client_ca: garbage },
      { cert: pair.cert, key: other.key },
    ])
      await expect(load(files)).rejects.toMatchObject({ code: 'START_FAILED' });
  });

  openssl.it('is refused before and after its time', async () => {
    await expect(load(pair, -2)).rejects.toMatchObject({ code: 'START_FAILED' });
    await expect(load(pair, 91)).rejects.toMatchObject({ code: 'START_FAILED' });
    const { notAfter } = await load(pair);
    expect(Math.round((notAfter.getTime() - systemClock.now()) / DAY_MS)).toBe(90);
  });

  openssl.it('is refused with a key that others may read, or that has a passphrase', async () => {
    const copy = await copyOf(pair, 'open');
    for (const [mode, isRefused] of [
      [0o644, true],
      [0o604, true],
      [0o620, true],
      [0o640, false],
      [0o400, false],
    ] as const) {
      await chmod(copy.key, mode);
      const loaded = load(copy).then(
        () => false,
        (error: unknown) => (error as { code: string }).code === 'START_FAILED',
      );
      await expect(loaded).resolves.toBe(isRefused);
    }
    await chmod(copy.key, 0o600);
    await writeFile(
      copy.key,
      '-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n',
    );
    await expect(load(copy)).rejects.toMatchObject({ code: 'START_FAILED' });
  });

  openssl.it('is used anew when two looks have found the same change', async () => {
    const files = await copyOf(pair, 'renewed');
    const { logger, entries } = recordingLogger();
    const certificates = await TlsCertificates.load(settings(files), logger);
    const renewed: unknown[] = [];
    certificates.onRenewed(({ cert }) => renewed.push(cert));
    await certificates.look();
    await certificates.look();
    expect(renewed).toEqual([]);
    await replace(files, other);
    await certificates.look();
    expect(renewed).toEqual([]);
    await certificates.look();
    expect(renewed).toEqual([await readFile(other.cert)]);
    await certificates.look();
    expect(renewed).toHaveLength(1);
    expect(entries.map(({ level }) => level)).toEqual(['info']);
  });

  openssl.it('stays in use when the new one is none, with one line of the log', async () => {
    const files = await copyOf(pair, 'kept');
    const { logger, entries } = recordingLogger();
    const certificates = await TlsCertificates.load(settings(files), logger);
    const before = certificates.options;
    await copyFile(other.cert, files.cert);
    for (let look = 0; look < 4; look++) await certificates.look();
    expect(entries.map(({ level }) => level)).toEqual(['error']);
    expect(certificates.failures).toBe(1);
    expect(certificates.options).toBe(before);
    // The other half has come.
    await copyFile(other.key, files.key);
    await certificates.look();
    await certificates.look();
    expect(certificates.options.cert).toEqual(await readFile(other.cert));
    // A missing file is a renewal under way.
    await rm(files.cert);
    await certificates.look();
    await certificates.look();
    expect(entries.map(({ level }) => level)).toEqual(['error', 'info']);
    await certificates.renew();
    expect(entries.map(({ level }) => level)).toEqual(['error', 'info', 'error']);
  });

  openssl.it('is warned of from 30 days before its end, once a day', async () => {
    const { logger, entries } = recordingLogger();
    let days = 59;
    const clock = { now: () => systemClock.now() + days * DAY_MS };
    const certificates = await TlsCertificates.load(settings(pair), logger, clock);
    const levels = async (): Promise<string[]> => {
      await certificates.look();
      return entries.splice(0).map(({ level }) => level);
    };
    await expect(levels()).resolves.toEqual([]);
    days = 61;
    await expect(levels()).resolves.toEqual(['warning']);
    await expect(levels()).resolves.toEqual([]);
    days = 62.5;
    await expect(levels()).resolves.toEqual(['warning']);
    days = 91;
    await expect(levels()).resolves.toEqual(['error']);
  });
});
