/** What the replies of a daemon say, checked for the form that they must have. */
import { BedrockError } from '../../errors.js';
import {
  RegionId,
  type RegionPage,
  type RegionStat,
  type TargetState,
  type TargetStats,
} from '../../target/index.js';
import { textOf, type Reply, type ReplyMap } from './reply.js';

export function unexpected(reply: Reply): BedrockError {
  return new BedrockError('INTERNAL', `the daemon gave a reply that does not fit (${typeof reply})`);
}

/** For commands that answer OK. */
export function isOk(reply: Reply): void {
  if (reply !== 'OK') throw unexpected(reply);
}

/** A JSON text. */
export function jsonOf(reply: Reply): unknown {
  if (!Buffer.isBuffer(reply)) throw unexpected(reply);
  return JSON.parse(reply.toString());
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
  return RegionId.parse(textOf(reply));
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
    mode: textOf(map.get('mode')),
    state: textOf(map.get('state')) as TargetState,
    regions: numberOf(map.get('regions')),
    capacityBytes: limit('capacityBytes'),
    usedBytes: numberOf(map.get('usedBytes')),
    freeBytes: limit('freeBytes'),
    largestFreeBytes: limit('largestFreeBytes'),
    fragmentation: numberOf(map.get('fragmentation')),
    recovery: {
      regions: numberOf(recovery.get('regions')),
      bytes: numberOf(recovery.get('bytes')),
      quarantined: numberOf(recovery.get('quarantined')),
      durationMs: numberOf(recovery.get('durationMs')),
    },
  };
}
