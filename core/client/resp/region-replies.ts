/** Converts replies of a daemon to results, and checks that they have the right form. */
import { BedrockError } from '../../base/errors.js';
import type { TargetMode } from '../../contract/mode.js';
import type { NamesPage, TransactionResult } from '../../contract/names.js';
import { RegionId } from '../../contract/region-id.js';
import type { RegionPage, RegionStat, TargetState, TargetStats } from '../../contract/target.js';
import { type Reply, type ReplyMap, textOf } from '../../redis-wire/reply.js';

const ID = /^[0-9a-f]{32}$/;

export function unexpected(reply: Reply): BedrockError {
  return new BedrockError('INTERNAL', `the daemon gave a reply of the wrong form (${typeof reply})`);
}

/** For commands whose reply is OK. */
export function isOk(reply: Reply): void {
  if (reply !== 'OK') throw unexpected(reply);
}

/** Parses any JSON. */
export function anyJsonOf(reply: Reply): unknown {
  try {
    return JSON.parse(textOf(reply)) as unknown;
  } catch {
    throw unexpected(reply);
  }
}

/** Parses a JSON object. */
export function jsonOf(reply: Reply): object {
  const value = anyJsonOf(reply);
  if (typeof value === 'object' && value !== null) return value;
  throw unexpected(reply);
}

/**
 * The answer of a provider's own route: the value of JSON, the bytes of anything else, undefined if
 * there is no content.
 */
export function answerOf(reply: Reply): unknown {
  const [status, type, body] = arrayOf(reply);
  if (typeof status !== 'number' || !(body instanceof Uint8Array)) throw unexpected(reply);
  const isJson = /^application\/json\b/.test(textOf(type ?? null));
  const value = status === 204 ? undefined : isJson ? jsonIn(body) : body;
  if (status < 400) return value;
  throw new BedrockError('INTERNAL', `the provider answered with status ${status}`, { details: { status } });
}

function jsonIn(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString()) as unknown;
  } catch {
    throw unexpected(null);
  }
}

/** A JSON object, or the OK of a command that has nothing to tell. */
export function jsonOrOk(reply: Reply): object | undefined {
  return reply === 'OK' ? undefined : jsonOf(reply);
}

/** Limits of the daemon. */
export interface DaemonLimits {
  /** Maximum bytes of one argument, and of the reply to a read. */
  readonly maxBulkBytes: number;
  /** Maximum number of arguments of one command. */
  readonly maxArguments: number;
  /** Maximum bytes of one command, without large arguments. */
  readonly maxRequestBytes: number;
  /** Maximum number of uploads that a connection can have at once. */
  readonly maxUploads: number;
}

/** Smaller limits would not allow splitting transfers into commands; no daemon has smaller ones. */
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
  // A number that is not an integer is sent as text.
  const value = Number(textOf(reply));
  if (!Buffer.isBuffer(reply) || Number.isNaN(value)) throw unexpected(reply ?? null);
  return value;
}

/** For commands whose reply must fill the caller's memory completely. */
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
  const name = map.get('name');
  return {
    id: idOf(map.get('id')),
    size: numberOf(map.get('size')),
    createdAt: numberOf(map.get('createdAt')),
    ...(name !== undefined && { name: nameOf(name) }),
  };
}

function nameOf(reply: Reply | undefined): string {
  if (Buffer.isBuffer(reply) && reply.length > 0) return textOf(reply);
  throw unexpected(reply ?? null);
}

export function pageOf(reply: Reply): RegionPage {
  const [next, regions] = arrayOf(reply);
  return {
    regions: arrayOf(regions).map((region) => {
      const [id, size, createdAt, name] = arrayOf(region);
      return {
        id: idOf(id),
        size: numberOf(size),
        createdAt: numberOf(createdAt),
        ...(name !== undefined && { name: nameOf(name) }),
      };
    }),
    ...(next !== null && { next: idOf(next) }),
  };
}

export function namesOf(reply: Reply): NamesPage {
  const [next, names, prefixes] = arrayOf(reply);
  return {
    names: arrayOf(names).map((region) => {
      const [name, id, size, createdAt] = arrayOf(region);
      return { name: nameOf(name), id: idOf(id), size: numberOf(size), createdAt: numberOf(createdAt) };
    }),
    prefixes: arrayOf(prefixes).map(nameOf),
    ...(next !== null && { next: nameOf(next) }),
  };
}

export function transactionOf(reply: Reply): TransactionResult {
  return { ids: arrayOf(reply).map((id) => (id === null ? null : idOf(id))) };
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
