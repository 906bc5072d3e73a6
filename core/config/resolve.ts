/**
 * From a document to a configuration that can be run. Goes on after a fault wherever that makes sense, so that all faults of a
 * configuration are reported at once: schema, libraries, types, names and ids, execution pools, dependencies.
 */
import path from 'node:path';
import type { Container } from 'inversify';
import type { BedrockConfig } from '../../schemas/generated/bedrock.js';
import { BedrockError } from '../base/errors.js';
import { LibraryLoader } from '../library/library.js';
import { isPath } from '../library/locate-library.js';
import type { TypeRegistry } from '../library/registry.js';
import { ADDRESS_FORMS, formatAddress, type ListenAddress, parseAddress } from '../net/address.js';
import { type ConfigPath, describeFound } from '../validation/issues.js';
import { compileSchema } from '../validation/schema.js';
import { checkClients } from './clients.js';
import type { ConfigDocument } from './document.js';
import { isObject } from './expand.js';
import { FaultList } from './fault-list.js';
import { resolvePools } from './pools.js';
import { resolveProviders } from './providers.js';
import type { DaemonSettings, ResolvedConfig } from './resolved-config.js';
import { moveResp, resolveRespAddress } from './resp-address.js';

const checkBedrock = compileSchema(new URL('../../schemas/bedrock.schema.json', import.meta.url));

/** For a configuration whose start_timeout_ms is at fault itself. */
const DEFAULT_LOAD_TIMEOUT_MS = 60_000;

export interface ResolveOptions {
  /** Listen here instead of at `margo.mercury.address`. */
  address?: string;
  /** Speak the Redis protocol here instead of at `bedrock.resp.address`; host:port. */
  respAddress?: string;
  /** Ends the wait for a library. */
  signal?: AbortSignal;
}

/**
 * Validates a configuration and loads its libraries. Opens nothing.
 * @throws CONFIG_INVALID, LIBRARY_LOAD_FAILED, DEPENDENCY_UNRESOLVED, with all faults in details.issues; START_FAILED once the signal
 *   is given
 */
export async function resolveConfig(
  document: ConfigDocument,
  container: Container,
  options: ResolveOptions = {},
): Promise<ResolvedConfig> {
  const root = structuredClone(document.root);
  if (options.respAddress !== undefined) moveResp(root, options.respAddress);
  const faults = new FaultList(document);
  faults.takeVerdict([], checkBedrock(root));

  const { registry, failures } = await loadLibraries(root, document, container, options.signal);
  const address = resolveAddress(root, document, options.address, faults);
  const respAddress = resolveRespAddress(root, document, options.respAddress !== undefined, faults);
  const pools = resolvePools(root, faults);
  const providers = resolveProviders(root, registry, pools, faults, document.directory);
  checkClients(root, registry, faults);
  // If nothing else is wrong, what did not load is missed by optional providers only, and the daemon can do without those.
  const isForgiven = !faults.isAny && providers.some(({ unavailable }) => unavailable !== undefined);
  for (const { place, error } of failures) {
    if (isForgiven) faults.warn(place, error.message);
    else faults.add(place, error.message, 'LIBRARY_LOAD_FAILED');
  }
  faults.throwIfAny();

  const json = root as unknown as BedrockConfig;
  if (address === undefined || json.bedrock === undefined)
    throw new BedrockError('INTERNAL', 'a fault went unreported');
  // As that of libraries: the running configuration may be stored elsewhere.
  const { log } = json.bedrock;
  if (log?.file !== undefined) log.file = path.resolve(document.directory, log.file);
  return {
    json,
    // The schema filled in every default.
    settings: json.bedrock as DaemonSettings,
    address,
    respAddress,
    pools: pools.all,
    providers,
    directory: document.directory,
    warnings: faults.warnings,
  };
}

/** What came in by the library door, and what did not. */
interface Loaded {
  registry: TypeRegistry;
  failures: { place: ConfigPath; error: BedrockError }[];
}

async function loadLibraries(
  root: Record<string, unknown>,
  { directory }: ConfigDocument,
  container: Container,
  signal: AbortSignal | undefined,
): Promise<Loaded> {
  const loader = container.get(LibraryLoader);
  await loader.loadBuiltIns(container);
  const timeout = isObject(root.bedrock) ? root.bedrock.start_timeout_ms : undefined;
  const timeoutMs = typeof timeout === 'number' && timeout > 0 ? timeout : DEFAULT_LOAD_TIMEOUT_MS;
  const failures: Loaded['failures'] = [];
  const libraries = root.libraries;
  const named = typeof libraries === 'object' && libraries !== null ? Object.entries(libraries) : [];
  for (const [key, library] of named as [string, unknown][]) {
    if (typeof library !== 'string' || library === '') continue;
    const place = ['libraries', Array.isArray(libraries) ? Number(key) : key];
    try {
      await loader.load(library, directory, container, { timeoutMs, signal });
    } catch (error) {
      if (!(error instanceof BedrockError) || error.code !== 'LIBRARY_LOAD_FAILED') throw error;
      failures.push({ place, error });
      loader.registry.isComplete = false;
      continue;
    }
    // The running configuration can be stored elsewhere, so paths in it must not count from here.
    if (isPath(library)) (libraries as Record<string, string>)[key] = path.resolve(directory, library);
  }
  return { registry: loader.registry, failures };
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
  const address = parseAddress(text, override === undefined ? document.directory : process.cwd());
  if (typeof address !== 'string') {
    mercury.address = formatAddress(address);
    return address;
  }
  const place = ['margo', 'mercury', 'address'];
  const message = `found ${describeFound(text)}: ${address}; expected ${ADDRESS_FORMS}`;
  if (override === undefined) faults.add(place, message);
  else faults.addElsewhere(place, `replaced by the address given at the start: ${message}`);
  return undefined;
}
