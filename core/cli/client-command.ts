/**
 * Common code of the commands that talk to a daemon: their errors, the daemon's address, the target.
 *
 * No command closes its connections: the process ends right afterwards, and closing would wait for
 * a standard input that never ends. The client is loaded only when it is needed, so that help and
 * usage errors appear at once.
 */
import { readFile } from 'node:fs/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { BedrockError, messageOf, systemCodeOf } from '../base/errors.js';
import { connect } from '../client/connect.js';
import type { Service } from '../client/service.js';
import type { RegionRef } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import type { CallOptions, RemoteProvider, RemoteTarget } from '../contract/remote-provider.js';
import { DEFAULT_PORT, SERVICE_URL_FORMS } from '../net/address.js';
import { checkName } from '../targets/arguments.js';
import { checkedToken } from '../security/token.js';
import { ofNamedFile, UsageError } from './failure.js';
import { interruptible } from './interruption.js';
import { parseNatural } from './sizes.js';
import {
  type CertificateOptions,
  certificatesFor,
  checkCertificatesAreUsed,
  withCertificates,
} from './tls-options.js';

const DEFAULT_ADDRESS = `http://127.0.0.1:${DEFAULT_PORT}`;

export const ADDRESS_HELP =
  `${SERVICE_URL_FORMS} of the daemon ` +
  `(default: the environment's BEDROCK_ADDRESS, else ${DEFAULT_ADDRESS})`;

const SAY_WHERE = "-a or the environment's BEDROCK_ADDRESS gives the daemon's address";

const RIGHTS =
  "a daemon's socket is for its own user; run the command as that one, or let it listen elsewhere";
const NO_WAY = `that machine cannot be reached; check its address, the network and firewalls. ${SAY_WHERE}`;
const NO_NAME = `the host's name is not known; correct it. ${SAY_WHERE}`;

/** Advice, by the system's code of the failure. */
const HOW_TO_REACH: Readonly<Record<string, string>> = {
  ECONNREFUSED: `Is the daemon running? "bedrock start" starts one; ${SAY_WHERE}`,
  ENOENT: `Is the daemon running? "bedrock start" starts one; ${SAY_WHERE}`,
  EACCES: RIGHTS,
  EPERM: RIGHTS,
  ENOTFOUND: NO_NAME,
  EAI_AGAIN: 'the name service does not answer; try again later, or give an IP address',
  EHOSTUNREACH: NO_WAY,
  ENETUNREACH: NO_WAY,
  ENOTDIR: `the socket's path goes through a file; correct it. ${SAY_WHERE}`,
  ELOOP: `the links on the socket's path lead in a circle; correct it. ${SAY_WHERE}`,
};

const GIVE_TOKEN =
  'The daemon requires a token: give one of "bedrock token new" by BEDROCK_TOKEN in the environment, or by --token-file';

export interface AddressOptions extends CertificateOptions {
  address?: string;
  tokenFile?: string;
}

export interface TargetOptions extends AddressOptions {
  provider?: string;
  target: number;
}

export function withAddress(command: Command): Command {
  return withToken(withCertificates(command.option('-a, --address <URL>', ADDRESS_HELP)));
}

/** Not the token itself, which other users of the machine would see in the list of processes. */
export function withToken(command: Command): Command {
  return command.option(
    '--token-file <FILE>',
    "file with the daemon's token (default: the token in the environment's BEDROCK_TOKEN, if there is one)",
  );
}

/** @throws UsageError, Conclusion */
async function tokenOf(file: string | undefined): Promise<string | undefined> {
  if (file !== undefined) {
    const text = await ofNamedFile(file, () => readFile(file, 'utf8'));
    return asUsage(() => checkedToken(text, `the text in ${file}`));
  }
  const { BEDROCK_TOKEN: token } = process.env;
  if (token === undefined || token === '') return undefined;
  return asUsage(() => checkedToken(token, "the environment's BEDROCK_TOKEN"));
}

function asUsage<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}

export function withTarget(command: Command): Command {
  return withAddress(command)
    .option('-p, --provider <NAME|ID>', 'the provider (default: the only one that holds regions)')
    .option('-t, --target <N>', 'number of the target, for providers with several', parseNatural, 0);
}

export function defaultAddress(): string {
  const { BEDROCK_ADDRESS } = process.env;
  return BEDROCK_ADDRESS === undefined || BEDROCK_ADDRESS === '' ? DEFAULT_ADDRESS : BEDROCK_ADDRESS;
}

/** The ID of a region on the command line. @throws InvalidArgumentError */
export function parseRegionId(text: string): RegionId {
  try {
    return RegionId.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`${messageOf(error)}.`);
  }
}

/** A region's name on the command line. @throws InvalidArgumentError */
export function parseName(text: string): string {
  // Node.js reads bytes that are not UTF-8 as this character, and the name would be another one.
  if (text.includes('\ufffd'))
    throw new InvalidArgumentError(
      'it contains bytes that are not UTF-8, or U+FFFD, which replaces such bytes.',
    );
  try {
    checkName(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError(`${messageOf(error)}.`);
  }
}

/**
 * A region on the command line: 32 hexadecimal digits are its ID, anything else is its name.
 * @throws InvalidArgumentError
 */
export function parseRegion(text: string): RegionRef {
  return /^[0-9a-fA-F]{32}$/.test(text) ? parseRegionId(text) : parseName(text);
}

/** What `parseRegion` accepts, for help texts. */
export const REGION_FORMS = 'the region, by its ID or its name';

/** For arguments that may be repeated. */
export function collect<T>(parse: (text: string) => T): (text: string, before: T[] | undefined) => T[] {
  return (text, before = []) => {
    before.push(parse(text));
    return before;
  };
}

/** @throws UsageError if `address` is not an address, and what `connect` throws */
export async function connectTo(
  address: string,
  options: CertificateOptions & { tokenFile?: string },
  call: CallOptions,
): Promise<Service> {
  const tls = await certificatesFor(address, options);
  const token = await tokenOf(options.tokenFile);
  try {
    return await connect(address, {
      ...call,
      ...(tls !== undefined && { tls }),
      ...(token !== undefined && { token }),
    });
  } catch (error) {
    if (!(error instanceof BedrockError)) throw error;
    if (error.code === 'INVALID_ARGUMENT') throw new UsageError(error.message);
    if (error.code === 'UNAUTHENTICATED')
      throw new BedrockError('UNAUTHENTICATED', `${error.message}. ${GIVE_TOKEN}`, { cause: error });
    if (error.code !== 'UNREACHABLE') throw error;
    // What TLS finds is said with its cure.
    if (/^ERR_(SSL|TLS|OSSL)|CERT|ISSUER|SIGNATURE/.test(systemCodeOf(error.cause) ?? '')) throw error;
    // Without a system error, something answers that is not a daemon.
    const cure = HOW_TO_REACH[systemCodeOf(error.cause) ?? ''] ?? SAY_WHERE;
    throw new BedrockError('UNREACHABLE', `${error.message}. ${cure}`, { cause: error });
  }
}

/** Connects to the daemon and does the work; Ctrl-C ends it. */
export function onDaemon(
  { address = defaultAddress(), ...options }: AddressOptions,
  work: (service: Service, call: Required<Pick<CallOptions, 'signal'>>) => Promise<void>,
): Promise<void> {
  checkCertificatesAreUsed([address], options);
  return interruptible(async (signal) => work(await connectTo(address, options, { signal }), { signal }));
}

/** Connects to the daemon, finds the target and does the work; Ctrl-C ends it. */
export function onTarget(
  options: TargetOptions,
  work: (target: RemoteTarget, call: Required<Pick<CallOptions, 'signal'>>) => Promise<void>,
): Promise<void> {
  return onDaemon(options, (service, call) => {
    const provider = options.provider ?? onlyProvider(service.providers).name;
    return work(service.target(provider, options.target), call);
  });
}

/** @throws UsageError if several hold regions, PROVIDER_NOT_FOUND if none does */
function onlyProvider(providers: readonly RemoteProvider[]): RemoteProvider {
  const holders = providers.filter(({ targets }) => targets.length > 0);
  const [found] = holders;
  if (found === undefined)
    throw new BedrockError('PROVIDER_NOT_FOUND', 'no provider of the daemon holds regions');
  if (holders.length === 1) return found;
  const names = holders.map(({ name, providerId }) => `${name} (${providerId})`).join(', ');
  throw new UsageError(`several providers hold regions; choose one with --provider: ${names}`);
}
