/**
 * Which of the two header copies counts: the whole one with the higher sequence. What is wrong with the other is told, and
 * whether it must be written again; nothing is written here.
 *
 * | copy 0, copy 1 | outcome |
 * |---|---|
 * | both whole, the same bytes | either |
 * | both whole, one newer | the newer one; the other must be rewritten |
 * | one whole, the other damaged, absent or unreadable | the whole one; the other must be rewritten |
 * | one whole and of an unsupported format | NOT_SUPPORTED, whatever the other is: newer software has begun something here |
 * | both whole, of different pools, or of one sequence and not equal | POOL_CORRUPT: nothing says which one is right |
 * | none whole | POOL_CORRUPT |
 */
import { BedrockError } from '../errors.js';
import { type DecodedHeader, decodeHeader, KNOWN_FEATURES, type PoolHeader, unknownOf } from './header.js';

export type HeaderCopy = 0 | 1;

export interface HeaderChoice {
  readonly header: PoolHeader;
  /** The copy it was read from. */
  readonly copy: HeaderCopy;
  /** The copy that a writable open must first make equal to it. */
  readonly rewrite?: HeaderCopy;
  /** Why the other copy was not usable; absent if it is merely older, or equal. */
  readonly damage?: string;
  /** False if the pool has a feature of which this version only knows that it may still read. */
  readonly writable: boolean;
}

/**
 * @param copy0 the bytes of page 0, as many as there are; undefined if they could not be read
 * @param copy1 those of page 1
 * @throws POOL_CORRUPT, NOT_SUPPORTED; `details` has the reasons as `copy0` and `copy1`, and for POOL_CORRUPT `absent`: whether
 *   neither begins like a header, so that the file is no pool
 */
export function chooseHeader(copy0: Uint8Array | undefined, copy1: Uint8Array | undefined): HeaderChoice {
  const decoded = [decode(copy0), decode(copy1)] as const;
  const details = {
    copy0: reasonOf(decoded[0]),
    copy1: reasonOf(decoded[1]),
    absent: decoded.every((one) => 'fault' in one && one.fault === 'absent'),
  };
  const unsupported = decoded.findIndex((one) => 'fault' in one && one.fault === 'unsupported');
  if (unsupported >= 0) {
    const reason = reasonOf(decoded[unsupported] as DecodedHeader);
    throw new BedrockError(
      'NOT_SUPPORTED',
      `this version cannot open the pool: of header copy ${unsupported}, ${reason}; use the version that wrote it`,
      { details },
    );
  }
  const [first, second] = decoded;
  if ('header' in first && 'header' in second)
    return chooseOfTwo(first.header, second.header, copy0 as Uint8Array, copy1 as Uint8Array);
  if ('header' in first)
    return { ...choice(first.header, 0), rewrite: 1, damage: reasonOf(second) as string };
  if ('header' in second)
    return { ...choice(second.header, 1), rewrite: 0, damage: reasonOf(first) as string };
  throw new BedrockError(
    'POOL_CORRUPT',
    details.absent
      ? 'the file is no pool: it does not begin like one'
      : `neither header of the pool can be used: of copy 0, ${first.reason}; of copy 1, ${second.reason}`,
    { details },
  );
}

function chooseOfTwo(
  first: PoolHeader,
  second: PoolHeader,
  copy0: Uint8Array,
  copy1: Uint8Array,
): HeaderChoice {
  const samePool = first.poolLow === second.poolLow && first.poolHigh === second.poolHigh;
  if (samePool && first.sequence > second.sequence) return { ...choice(first, 0), rewrite: 1 };
  if (samePool && first.sequence < second.sequence) return { ...choice(second, 1), rewrite: 0 };
  if (samePool && Buffer.compare(copy0, copy1) === 0) return choice(first, 0);
  throw new BedrockError(
    'POOL_CORRUPT',
    samePool
      ? `the two headers of the pool differ and have the same sequence ${first.sequence}`
      : 'the two headers belong to different pools',
    { details: { absent: false } },
  );
}

function choice(header: PoolHeader, copy: HeaderCopy): HeaderChoice {
  const unknown = unknownOf(header.features.readOnlyCompatible, KNOWN_FEATURES.readOnlyCompatible);
  return { header, copy, writable: unknown === 0 };
}

function decode(bytes: Uint8Array | undefined): DecodedHeader {
  return bytes === undefined ? { fault: 'damaged', reason: 'it cannot be read' } : decodeHeader(bytes);
}

function reasonOf(decoded: DecodedHeader): string | undefined {
  return 'fault' in decoded ? decoded.reason : undefined;
}
