/**
 * From a document to a configuration that can be run. Continues after a fault where possible, so
 * that all faults are reported at once: schema, libraries, types, names and ids, execution pools,
 * dependencies.
 */
import path from 'node:path';
import type { Container } from 'inversify';
import type { BedrockConfig, MargoConfig, PoolReference } from '../../schemas/generated/bedrock.js';
import { BedrockError } from '../base/errors.js';
import { LibraryLoader } from '../library/library.js';
import { isPath } from '../library/locate-library.js';
import { type LoadedLibrary, TypeRegistry } from '../library/registry.js';
import { ADDRESS_FORMS, formatAddress, type ListenAddress, parseAddress } from '../net/address.js';
import { type ConfigPath, describeFound } from '../validation/issues.js';
import { compileSchema } from '../validation/schema.js';
import { checkClients } from './clients.js';
import type { ConfigDocument } from './document.js';
import { checkConnectionGrants } from './connection-grants.js';
import { isObject } from './expand.js';
import { FaultList } from './fault-list.js';
import { checkOpenAddresses } from './open-addresses.js';
import { resolvePools, type ResolvedPools } from './pools.js';
import { resolveProviders } from './providers.js';
import type { DaemonSettings, ResolvedConfig, ResolvedProvider } from './resolved-config.js';
import { resolveRespAddress, withRespAddress } from './resp-address.js';
import { absoluteRemoteTokens, checkRemoteTokens } from './remote-tokens.js';
import { absoluteTls, checkTls, withTls } from './tls.js';

/** Compiled for the first configuration, since programs that are only clients have none. */
const SCHEMA = new URL('../../schemas/bedrock.schema.json', import.meta.url);

/** For a configuration whose start_timeout_ms is itself faulty. */
const DEFAULT_LOAD_TIMEOUT_MS = 60_000;

export interface ResolveOptions {
  /** HTTP address that replaces `margo.mercury.address`. */
  address?: string;
  /** Address of the Redis door that replaces `bedrock.resp.address`; host:port. */
  respAddress?: string;
  /** Group file that replaces `bedrock.group_file`; relative to the working directory. */
  groupFile?: string;
  /** Ends the wait for a library. */
  signal?: AbortSignal;
  /**
   * Libraries that did not load at an earlier resolution, by their names in the running
   * configuration: they are not tried again.
   */
  failedBefore?: ReadonlyMap<string, BedrockError>;
}

/** A configuration that can be run, with the types of its libraries and the built-in ones. */
export interface Resolution {
  config: ResolvedConfig;
  registry: TypeRegistry;
  /**
   * Libraries that did not load, by their names in the running configuration: only optional
   * providers need them.
   */
  failedLibraries: ReadonlyMap<string, BedrockError>;
}

/**
 * Validates a configuration and loads its libraries. Opens nothing, and does not change the document.
 * @throws CONFIG_INVALID, LIBRARY_LOAD_FAILED, DEPENDENCY_UNRESOLVED, with all faults in
 *   details.issues; START_FAILED once the signal is aborted
 */
export async function resolveConfig(
  document: ConfigDocument,
  container: Container,
  options: ResolveOptions = {},
): Promise<Resolution> {
  const { respAddress: movedTo } = options;
  const given = movedTo === undefined ? document.root : withRespAddress(document.root, movedTo);
  const faults = new FaultList(document);
  const verdict = compileSchema(SCHEMA)(given);
  faults.takeVerdict([], verdict);
  const root = verdict.value;

  const { registry, libraries, failures } = await loadLibraries(root, document, container, options);
  const address = resolveAddress(root, document, options.address, faults);
  const respAddress = resolveRespAddress(root, document, movedTo !== undefined, faults);
  checkTls(given, faults);
  checkConnectionGrants(given, faults);
  checkRemoteTokens(root, document.directory, faults);
  checkOpenAddresses(root, { address, respAddress }, faults);
  const pools = resolvePools(root, faults);
  const providers = resolveProviders(root, registry, pools, faults, document.directory);
  checkClients(root, registry, faults);
  // If there is no other fault, only optional providers need what did not load, and the daemon can
  // run without them.
  const isForgiven = !faults.isAny && providers.some(({ unavailable }) => unavailable !== undefined);
  for (const { at, error } of failures) {
    if (isForgiven) faults.warn(at, error.message);
    else faults.add(at, error.message, 'LIBRARY_LOAD_FAILED');
  }
  faults.throwIfAny();

  if (address === undefined) throw new BedrockError('INTERNAL', 'a fault went unreported');
  const json = written(root as unknown as FilledConfig, document.directory, {
    libraries,
    address,
    unix: respAddress?.unix,
    groupFile: options.groupFile === undefined ? undefined : path.resolve(options.groupFile),
    pools,
    providers,
  });
  const config: ResolvedConfig = {
    json,
    settings: json.bedrock,
    address,
    respAddress,
    pools: pools.all,
    providers,
    directory: document.directory,
    warnings: faults.warnings,
  };
  const failedLibraries = new Map(failures.map(({ library, error }) => [library, error]));
  return { config, registry, failedLibraries };
}

/** A configuration whose schema has filled in every default. */
type FilledConfig = BedrockConfig & {
  margo: Required<Pick<MargoConfig, 'mercury' | 'argobots'>>;
  bedrock: DaemonSettings;
};

interface ResolvedParts {
  libraries: BedrockConfig['libraries'];
  address: ListenAddress;
  unix: string | undefined;
  /** The one given at the start. */
  groupFile: string | undefined;
  pools: ResolvedPools;
  providers: readonly ResolvedProvider[];
}

/**
 * The configuration with everything that was resolved. It may be stored elsewhere, so all its paths
 * are absolute; pools may come and go, so all references to them are names.
 */
function written(
  given: FilledConfig,
  directory: string,
  { libraries, address, unix, groupFile, pools, providers }: ResolvedParts,
): FilledConfig {
  const { margo, bedrock } = given;
  const { log, resp, auth, audit, group_file: relative } = bedrock;
  const group = groupFile ?? (relative === undefined ? undefined : path.resolve(directory, relative));
  const named = <T extends object>(section: T, key: string): T =>
    key in section
      ? { ...section, [key]: pools.nameOf((section as Record<string, unknown>)[key] as PoolReference) }
      : section;
  const streams = pools.streams.map((stream) => {
    const [first, ...others] = stream.scheduler.pools;
    const named: typeof stream.scheduler.pools = [pools.nameOf(first), ...others.map(pools.nameOf)];
    return { ...stream, scheduler: { ...stream.scheduler, pools: named } };
  });
  return {
    ...given,
    ...(given.abt_io !== undefined && { abt_io: given.abt_io.map((instance) => named(instance, 'pool')) }),
    ...(given.mona !== undefined && { mona: given.mona.map((instance) => named(instance, 'pool')) }),
    margo: {
      ...named(named(margo, 'rpc_pool'), 'progress_pool'),
      mercury: { ...margo.mercury, address: formatAddress(address) },
      argobots: { ...margo.argobots, pools: [...pools.all], xstreams: streams },
    },
    bedrock: {
      ...named(bedrock, 'pool'),
      log: { ...log, ...(log.file !== undefined && { file: path.resolve(directory, log.file) }) },
      ...(auth !== undefined && { auth: { ...auth, tokens: path.resolve(directory, auth.tokens) } }),
      ...(audit !== undefined && { audit: { ...audit, file: path.resolve(directory, audit.file) } }),
      ...(group !== undefined && { group_file: group }),
      ...absoluteTls(bedrock, directory),
      ...absoluteRemoteTokens(bedrock, directory),
      ...(resp !== undefined && { resp: { ...resp, ...(unix !== undefined && { unix }) } }),
    },
    ...(libraries !== undefined && { libraries }),
    providers: providers.map(({ entry }) => entry),
  };
}

/** What was loaded from libraries, and what was not. */
interface Loaded {
  registry: TypeRegistry;
  /** The text in the configuration, with absolute paths. */
  libraries: BedrockConfig['libraries'];
  failures: { at: ConfigPath; library: string; error: BedrockError }[];
}

async function loadLibraries(
  root: Record<string, unknown>,
  { directory }: ConfigDocument,
  container: Container,
  { signal, failedBefore }: ResolveOptions,
): Promise<Loaded> {
  const loader = container.get(LibraryLoader);
  const registry = new TypeRegistry();
  for (const library of await loader.loadBuiltIns(container)) checkBuiltIn(registry, library);
  const timeout = isObject(root.bedrock) ? root.bedrock.start_timeout_ms : undefined;
  const timeoutMs = typeof timeout === 'number' && timeout > 0 ? timeout : DEFAULT_LOAD_TIMEOUT_MS;
  const failures: Loaded['failures'] = [];
  const given = root.libraries;
  const isList = Array.isArray(given);
  const named = new Map<string, unknown>(
    typeof given === 'object' && given !== null ? Object.entries(given) : [],
  );
  for (const [key, library] of named) {
    if (typeof library !== 'string' || library === '') continue;
    const whole = wholeName(library, directory);
    const error =
      failedBefore?.get(whole) ??
      (await loader.load(library, directory, container, { timeoutMs, signal }).then(
        (loaded) => registry.addLibrary(loaded),
        (thrown: unknown) => {
          if (thrown instanceof BedrockError && thrown.code === 'LIBRARY_LOAD_FAILED') return thrown;
          throw thrown;
        },
      ));
    if (error === undefined) {
      named.set(key, whole);
      continue;
    }
    failures.push({ at: ['libraries', isList ? Number(key) : key], library: whole, error });
    registry.isComplete = false;
  }
  const libraries = (isList ? [...named.values()] : Object.fromEntries(named)) as BedrockConfig['libraries'];
  return { registry, libraries, failures };
}

function checkBuiltIn(registry: TypeRegistry, library: LoadedLibrary): void {
  const fault = registry.addLibrary(library);
  if (fault !== undefined) throw fault;
}

/** The text for a library in the running configuration, which may be stored elsewhere. */
export function wholeName(library: string, directory: string): string {
  return isPath(library) ? path.resolve(directory, library) : library;
}

function resolveAddress(
  root: Record<string, unknown>,
  document: ConfigDocument,
  override: string | undefined,
  faults: FaultList,
): ListenAddress | undefined {
  const margo = isObject(root.margo) ? root.margo : {};
  const mercury = isObject(margo.mercury) ? margo.mercury : {};
  const text = override ?? mercury.address;
  if (typeof text !== 'string') return undefined;
  const parsed = parseAddress(text, override === undefined ? document.directory : process.cwd());
  const isTls = isObject(root.bedrock) && root.bedrock.tls !== undefined;
  const address = typeof parsed === 'string' ? parsed : withTls(parsed, isTls);
  if (typeof address !== 'string') return address;
  const addressPath = ['margo', 'mercury', 'address'];
  const message = `found ${describeFound(text)}: ${address}; expected ${ADDRESS_FORMS}`;
  if (override === undefined) faults.add(addressPath, message);
  else faults.addElsewhere(addressPath, `replaced by the address given at the start: ${message}`);
  return undefined;
}
