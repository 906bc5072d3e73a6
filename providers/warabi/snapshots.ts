/**
 * Snapshots of a warabi provider's targets, and their restores: the options of the requests, and
 * which target is meant.
 */
import {
  BedrockError,
  type OperationContext,
  restoreSnapshot,
  type RestoreRequest,
  type SnapshotRequest,
  type SnapshotResult,
  type SnapshotSummary,
  takeSnapshot,
} from '../../core/index.js';
import type { TargetSlot } from './target-slot.js';
import type { TransferManager } from './transfer-manager.js';

const MAX_HOLD_MS = 60_000;

/** A provider, as snapshots see it. */
export interface Store {
  readonly provider: string;
  readonly slots: readonly TargetSlot[];
  readonly pieces: TransferManager['ofSnapshot'];
}

export async function snapshot(
  { provider, slots, pieces }: Store,
  { path, options, removeSource }: SnapshotRequest,
  operation: OperationContext,
): Promise<SnapshotResult> {
  if (removeSource)
    throw new BedrockError(
      'NOT_SUPPORTED',
      'a snapshot of warabi leaves the data where it is; removeSource must be false',
    );
  const maxHoldMs = whole(options, 'max_hold_ms', MAX_HOLD_MS);
  const slot = slotOf(provider, slots, options, ['target', 'max_hold_ms', 'incremental']);
  const { incremental } = options;
  if (incremental !== undefined && typeof incremental !== 'string')
    throw new BedrockError(
      'INVALID_ARGUMENT',
      'options.incremental must be the folder of an earlier snapshot',
    );
  if (slot.refusal !== undefined) throw slot.refusal;
  const source = { provider, target: slot.index, type: slot.type };
  return takeSnapshot(
    slot.target,
    path,
    {
      source,
      ...pieces,
      ...(maxHoldMs !== undefined && { maxHoldMs }),
      ...(incremental !== undefined && { incremental }),
    },
    operation,
  );
}

export async function restore(
  { provider, slots, pieces }: Store,
  { path, options }: RestoreRequest,
  operation: OperationContext,
): Promise<SnapshotSummary> {
  const slot = slotOf(provider, slots, options, ['target']);
  const who = `target ${slot.index} of provider "${provider}"`;
  // Safe: this is checked again before anything is changed. This first check keeps a target that is
  // not empty in service.
  if (slot.refusal === undefined && (await slot.target.list({ limit: 1 })).regions.length > 0)
    throw new BedrockError(
      'TARGET_NOT_EMPTY',
      `${who} holds regions; restore into an empty target, or erase them first`,
      {
        details: { provider, target: slot.index },
      },
    );
  return slot.fill((target) => restoreSnapshot(target, path, operation, pieces));
}

function slotOf(
  provider: string,
  slots: readonly TargetSlot[],
  options: Readonly<Record<string, unknown>>,
  known: readonly string[],
): TargetSlot {
  for (const name of Object.keys(options))
    if (!known.includes(name))
      throw new BedrockError(
        'INVALID_ARGUMENT',
        `there is no options.${name}; the options are ${known.join(', ')}`,
      );
  const index = whole(options, 'target', Number.MAX_SAFE_INTEGER);
  if (index === undefined && slots.length > 1)
    throw new BedrockError(
      'INVALID_ARGUMENT',
      `provider "${provider}" has ${slots.length} targets; options.target must say which one, counted from 0`,
    );
  const slot = slots[index ?? 0];
  if (slot !== undefined) return slot;
  throw new BedrockError(
    'INVALID_ARGUMENT',
    `provider "${provider}" has no target ${index ?? 0}; the last is ${slots.length - 1}`,
  );
}

function whole(options: Readonly<Record<string, unknown>>, name: string, most: number): number | undefined {
  const value = options[name];
  if (value === undefined) return undefined;
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most)
    return value as number;
  throw new BedrockError('INVALID_ARGUMENT', `options.${name} must be a whole number from 0 to ${most}`);
}
