/** What the replies of a daemon say, checked for the form that they must have. */
import { BedrockError } from '../../base/errors.js';
import type { TargetMode } from '../../contract/mode.js';
import { RegionId } from '../../contract/region-id.js';
import type { RegionPage, RegionStat, TargetState, TargetStats } from '../../contract/target.js';
import { type Reply, type ReplyMap, textOf } from './reply.js';

const ID = /^[0-9a-f]{32}$/;

export function unexpected(reply: Reply): BedrockError {
  return new BedrockError('INTERNAL', `the daemon gave a reply that does not fit (${typeof reply})`);
}

/** For commands that answer OK. */
export function isOk(reply: Reply): void {
  if (reply !== 'OK') throw unexpected(reply);
}

/** A JSON text of an object. */
export function jsonOf(reply: Reply): object {
  try {
    const value: unknown = JSON.parse(textOf(reply));
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Said below.
  }
  throw unexpected(reply);
}

/** What the daemon takes at most. */
export interface DaemonLimits {
  /** Bytes of one argument, and of the reply to a read. */
  readonly maxBulkBytes: number;
  /** Arguments of one command. */
  readonly maxArguments: number;
  /** Bytes of one command, large arguments aside. */
  readonly maxRequestBytes: number;
  /** Regions that a connection can make of parts at once. */
  readonly maxUploads: number;
}

/** With less, transfers could not be cut into commands; no daemon has less. */
const LEAST_BULK_BYTES = 1024;
const LEAST_ARGUMENTS = 16;
const LEAST_REQUEST_BYTES = 32_768;

export function limitsOf(reply: Reply): DaemonLimits {
  const limits = jsonOf(reply) as Partial<Record<string, unknown>>;
  const limit = (name: string, least: number): number => {
    const value = limits[name];
    if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
    throw unexpected(reply);
  };
  return {
    maxBulkBytes: limit('max_bulk_bytes', LEAST_BULK_BYTES),
    maxArguments: limit('max_arguments', LEAST_ARGUMENTS),
    maxRequestBytes: limit('max_request_bytes', LEAST_REQUEST_BYTES),
    maxUploads: limit('max_uploads', 1),
  };
}

export function numberOf(reply: Reply | undefined): number {
  if (typeof reply === 'number') return reply;
  // A number that is no integer goes as text.
  const value = Number(textOf(reply));
  if (!Buffer.isBuffer(reply) || Number.isNaN(value)) throw unexpected(reply ?? null);
  return value;
}

/** For commands whose reply goes to the caller's memory, all of it. */
export function fills(size: number): (reply: Reply) => void {
  return (reply) => {
    if (reply !== size) throw unexpected(reply);
  };
}

export function idOf(reply: Reply | undefined): RegionId {
  const text = textOf(reply);
  if (ID.test(text)) return RegionId.parse(text);
  throw unexpected(reply ?? null);
}

function arrayOf(reply: Reply | undefined): readonly Reply[] {
  if (Array.isArray(reply)) return reply as readonly Reply[];
  throw unexpected(reply ?? null);
}

function mapOf(reply: Reply | undefined): ReplyMap {
  if (reply instanceof Map) return reply as ReplyMap;
  throw unexpected(reply ?? null);
}

export function statOf(reply: Reply): RegionStat {
  const map = mapOf(reply);
  return {
    id: idOf(map.get('id')),
    size: numberOf(map.get('size')),
    createdAt: numberOf(map.get('createdAt')),
  };
}

export function pageOf(reply: Reply): RegionPage {
  const [next, regions] = arrayOf(reply);
  return {
    regions: arrayOf(regions).map((region) => {
      const [id, size, createdAt] = arrayOf(region);
      return { id: idOf(id), size: numberOf(size), createdAt: numberOf(createdAt) };
    }),
    ...(next !== null && { next: idOf(next) }),
  };
}

export function statsOf(reply: Reply): TargetStats {
  const map = mapOf(reply);
  const recovery = mapOf(map.get('recovery'));
  const limit = (name: string): number | null => (map.get(name) === null ? null : numberOf(map.get(name)));
  return {
    type: textOf(map.get('type')),
    mode: textOf(map.get('mode')) as TargetMode,
    state: textOf(map.get('state')) as TargetState,
    regions: numberOf(map.get('regions')),
    capacityBytes: limit('capacityBytes'),
    usedBytes: numberOf(map.get('usedBytes')),
    freeBytes: limit('freeBytes'),
    largestFreeBytes: limit('largestFreeBytes'),
    pendingBytes: numberOf(map.get('pendingBytes')),
    failedGiveBacks: numberOf(map.get('failedGiveBacks')),
    fragmentation: numberOf(map.get('fragmentation')),
    recovery: {
      regions: numberOf(recovery.get('regions')),
      bytes: numberOf(recovery.get('bytes')),
      quarantined: numberOf(recovery.get('quarantined')),
      durationMs: numberOf(recovery.get('durationMs')),
    },
  };
}
