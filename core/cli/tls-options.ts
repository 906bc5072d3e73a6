/** The certificates of a command that talks to a daemon over https:// or resps://. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { TlsOptions } from '../contract/remote-provider.js';
import { ofNamedFile, UsageError } from './failure.js';

export interface CertificateOptions {
  cacert?: string;
  cert?: string;
  key?: string;
}

/** Addresses whose connections are encrypted. */
const SECURE = /^(https|resps|rediss):/i;

export function withCertificates(command: Command): Command {
  return command
    .option(
      '--cacert <FILE>',
      "certificates of the authorities that sign the daemon's certificate, for https:// and resps:// (default: the environment's BEDROCK_CACERT, else those of Node.js)",
    )
    .option('--cert <FILE>', "certificate to show the daemon (default: the environment's BEDROCK_CERT)")
    .option('--key <FILE>', "its private key (default: the environment's BEDROCK_KEY)");
}

/**
 * Reads the certificates for an address.
 * @returns undefined for an address without TLS
 * @throws Conclusion if a file cannot be read, UsageError
 */
export async function certificatesFor(
  address: string,
  { cacert, cert, key }: CertificateOptions,
): Promise<TlsOptions | undefined> {
  if (!SECURE.test(address)) return undefined;
  const { BEDROCK_CACERT, BEDROCK_CERT, BEDROCK_KEY } = process.env;
  const ca = await contentsOf(cacert ?? BEDROCK_CACERT);
  const own = { cert: await contentsOf(cert ?? BEDROCK_CERT), key: await contentsOf(key ?? BEDROCK_KEY) };
  if ((own.cert === undefined) !== (own.key === undefined))
    throw new UsageError('a certificate needs its key, and a key its certificate: give --cert and --key');
  return {
    ...(ca !== undefined && { ca }),
    ...(own.cert !== undefined && { cert: own.cert }),
    ...(own.key !== undefined && { key: own.key }),
  };
}

/** Refuses certificates for plain addresses: a user who gives them expects encryption. @throws UsageError */
export function checkCertificatesAreUsed(
  addresses: readonly string[],
  { cacert, cert, key }: CertificateOptions,
): void {
  if ([cacert, cert, key].every((given) => given === undefined)) return;
  if (addresses.some((address) => SECURE.test(address))) return;
  throw new UsageError(
    `--cacert, --cert and --key are for https:// and resps://, and the connection to ${addresses.join(', ')} is not encrypted`,
  );
}

/** An empty variable counts as none. */
async function contentsOf(file: string | undefined): Promise<Buffer | undefined> {
  return file === undefined || file === '' ? undefined : ofNamedFile(file, () => readFile(file));
}
