/**
 * Tells what a migration would do: its size, and whether the destination could accept it. Nothing
 * is changed.
 */
import {
  BedrockError,
  connect,
  defineRoute,
  jsonBody,
  type ProviderRoute,
  type RemoteOptions,
  type Service,
  type Target,
} from '../../../core/index.js';
import type { WarabiConfig } from '../../../schemas/generated/warabi.js';
import type { TargetSlot } from '../target-slot.js';
import { optionsOf } from './options.js';
import { differenceOf, type Successor, successorOf } from './successor.js';
import { COMPARED_BYTES } from './wire.js';

interface PlanRequest {
  readonly address: string;
  readonly provider: string | number;
  /** The options of the migration. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** The provider that would move. */
interface Source {
  readonly name: string;
  readonly config: WarabiConfig;
}

/** One target of a plan. */
interface PlannedTarget {
  readonly from: string;
  readonly to: string;
  readonly regions: number;
  readonly bytes: number;
  /** Free space of the destination, bytes; null: not known. */
  readonly freeBytes: number | null;
}

/** The answer. `faults` are the reasons why the migration would be refused. */
interface Plan {
  readonly address: string;
  readonly provider: string;
  readonly targets: readonly PlannedTarget[];
  readonly regions: number;
  readonly bytes: number;
  readonly faults: readonly string[];
}

export function planRoute(
  slots: readonly TargetSlot[],
  source: Source,
  remoteOptions: (address: string) => Promise<RemoteOptions>,
): ProviderRoute {
  return defineRoute({
    method: 'POST',
    path: '/migration/plan',
    scope: 'admin',
    summary: 'Tell what a migration would do',
    isInternal: true,
    body: jsonBody<PlanRequest>({
      type: 'object',
      additionalProperties: false,
      required: ['address', 'provider'],
      properties: {
        address: { type: 'string', minLength: 1 },
        provider: { type: ['string', 'integer'], minLength: 1 },
        options: { type: 'object', additionalProperties: true },
      },
    }),
    handle: async ({ body }) => {
      const { address, provider, options: given = {} } = body;
      const options = optionsOf({ options: given, removeSource: false }, COMPARED_BYTES);
      const successor = successorOf(source, provider, options);
      const service = await connect(address, { ...(await remoteOptions(address)), timeoutMs: 30_000 });
      try {
        return await planOf(slots, service, provider, successor);
      } finally {
        await service.close();
      }
    },
  });
}

async function planOf(
  slots: readonly TargetSlot[],
  service: Service,
  name: string | number,
  successor: Successor | undefined,
): Promise<Plan> {
  const there = service.providers.find((one) => one.name === name || one.providerId === name);
  if (successor !== undefined && there === undefined) return planOfNew(slots, service, successor);
  const provider = service.provider(name);
  const faults: string[] = [];
  if (provider.type !== 'warabi')
    faults.push(`provider "${provider.name}" is of type ${provider.type}, not warabi`);
  const running = service.config.providers?.find((one) => one.name === provider.name);
  const difference = successor && differenceOf(successor.entry.config, running?.config);
  if (difference !== undefined)
    faults.push(`provider "${provider.name}" already exists, and its ${difference} differs`);
  if (provider.type === 'warabi' && provider.targets.length !== slots.length)
    faults.push(`provider "${provider.name}" has ${provider.targets.length} targets, not ${slots.length}`);
  // Asks the daemon itself: a remote target is never importable.
  const described = service.providers.find((one) => one.name === provider.name);
  const importable = (described?.targets ?? []).map(({ capabilities }) => capabilities.importable);
  const targets: PlannedTarget[] = [];
  for (const { served, index, type, refusal } of slots) {
    if (refusal !== undefined) throw refusal;
    const { regions, bytes } = await sizeOf(served);
    const to = provider.targets[index];
    const freeBytes =
      to === undefined ? null : await lookAt(to, importable[index] ?? false, index, bytes, faults);
    targets.push({ from: type, to: to?.type ?? 'none', regions, bytes, freeBytes });
  }
  return {
    address: service.url,
    provider: provider.name,
    ...totalsOf(targets),
    faults,
  };
}

/**
 * The plan if the destination would be created. Only its creation shows whether its daemon accepts
 * the settings.
 */
async function planOfNew(
  slots: readonly TargetSlot[],
  service: Service,
  { entry, targets: settings }: Successor,
): Promise<Plan> {
  const targets: PlannedTarget[] = [];
  for (const { served, index, type, refusal } of slots) {
    if (refusal !== undefined) throw refusal;
    const to = settings[index]?.type ?? 'none';
    targets.push({ from: type, to, ...(await sizeOf(served)), freeBytes: null });
  }
  const faults =
    settings.length === slots.length ? [] : [`it would have ${settings.length} targets, not ${slots.length}`];
  return { address: service.url, provider: String(entry.name), ...totalsOf(targets), faults };
}

function totalsOf(targets: readonly PlannedTarget[]): Pick<Plan, 'targets' | 'regions' | 'bytes'> {
  return {
    targets,
    regions: targets.reduce((sum, { regions }) => sum + regions, 0),
    bytes: targets.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

async function sizeOf(target: Target): Promise<{ regions: number; bytes: number }> {
  let [count, bytes] = [0, 0];
  let next: Parameters<Target['list']>[0];
  do {
    const page = await target.list(next);
    count += page.regions.length;
    for (const { size } of page.regions) bytes += size;
    next = page.next && { after: page.next };
  } while (next !== undefined);
  return { regions: count, bytes };
}

async function lookAt(
  to: Target,
  isImportable: boolean,
  index: number,
  bytes: number,
  faults: string[],
): Promise<number | null> {
  if (!isImportable)
    faults.push(`target ${index} there is of type ${to.type}, which cannot import regions under their IDs`);
  try {
    if ((await to.list({ limit: 1 })).regions.length > 0) faults.push(`target ${index} there is not empty`);
    const { freeBytes } = await to.stats();
    if (freeBytes !== null && freeBytes < bytes)
      faults.push(`target ${index} there has ${freeBytes} bytes free, and ${bytes} are needed`);
    return freeBytes;
  } catch (error) {
    if (!(error instanceof BedrockError)) throw error;
    // The unfinished destination of this migration may continue.
    if (error.code !== 'MIGRATION_UNFINISHED') faults.push(`target ${index} there: ${error.message}`);
    return null;
  }
}
