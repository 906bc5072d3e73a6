/**
 * What the commands have in common that talk to a daemon: their errors, where the daemon is, which target is meant.
 *
 * No command closes its connections: the process ends right after, and closing would wait for a standard input that never ends.
 * The client is loaded only when it is needed, so that help and complaints about options come at once.
 */
import { type Command, InvalidArgumentError } from 'commander';
import { BedrockError, messageOf } from '../base/errors.js';
import { connect } from '../client/connect.js';
import type { Service } from '../client/service.js';
import { RegionId } from '../contract/region-id.js';
import type { CallOptions, RemoteProvider, RemoteTarget } from '../contract/remote-provider.js';
import { DEFAULT_PORT, SERVICE_URL_FORMS } from '../net/address.js';
import { UsageError } from './failure.js';
import { interruptible } from './interruption.js';
import { parseNatural } from './sizes.js';

const DEFAULT_ADDRESS = `http://127.0.0.1:${DEFAULT_PORT}`;

export const ADDRESS_HELP =
  `${SERVICE_URL_FORMS} of the daemon ` +
  `(default: the environment's BEDROCK_ADDRESS, else ${DEFAULT_ADDRESS})`;

const HOW_TO_REACH =
  'Is the daemon running? "bedrock start" starts one; -a or the environment\'s BEDROCK_ADDRESS says where it is';

export interface AddressOptions {
  address?: string;
}

export interface TargetOptions extends AddressOptions {
  provider?: string;
  target: number;
}

export function withAddress(command: Command): Command {
  return command.option('-a, --address <URL>', ADDRESS_HELP);
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

/** A region's ID on the command line. @throws InvalidArgumentError */
export function parseRegionId(text: string): RegionId {
  try {
    return RegionId.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`${messageOf(error)}.`);
  }
}

/** For arguments that may come several times. */
export function collect<T>(parse: (text: string) => T): (text: string, before: T[] | undefined) => T[] {
  return (text, before = []) => {
    before.push(parse(text));
    return before;
  };
}

/** @throws UsageError if `address` is none, and what `connect` throws */
export async function connectTo(address: string, call: CallOptions): Promise<Service> {
  try {
    return await connect(address, call);
  } catch (error) {
    if (!(error instanceof BedrockError)) throw error;
    if (error.code === 'INVALID_ARGUMENT') throw new UsageError(error.message);
    if (error.code !== 'UNREACHABLE') throw error;
    throw new BedrockError('UNREACHABLE', `${error.message}. ${HOW_TO_REACH}`, { cause: error });
  }
}

/** Connects to the daemon and does the work; Ctrl-C ends it. */
export function onDaemon(
  { address = defaultAddress() }: AddressOptions,
  work: (service: Service, call: Required<Pick<CallOptions, 'signal'>>) => Promise<void>,
): Promise<void> {
  return interruptible(async (signal) => work(await connectTo(address, { signal }), { signal }));
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
