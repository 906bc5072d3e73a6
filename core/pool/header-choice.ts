/**
 * Chooses the header copy that counts: the valid one with the higher sequence. It reports what is
 * wrong with the other copy, and whether that must be rewritten. It writes nothing.
 *
 * | copy 0, copy 1 | outcome |
 * |---|---|
 * | both valid, the same bytes | either |
 * | both valid, one newer | the newer one; the other must be rewritten |
 * | one valid, the other damaged, absent or unreadable | the valid one; the other must be rewritten |
 * | one valid and of an unsupported format | NOT_SUPPORTED, whatever the other is: newer software has begun something here |
 * | both valid, of different pools, or with the same sequence but different bytes | POOL_CORRUPT: nothing tells which one is right; the user tells repair |
 * | none valid | POOL_CORRUPT |
 * | the one that counts says that a repair is in progress | POOL_CORRUPT, except for a repair |
 */
import { BedrockError, invalid } from '../base/errors.js';
import {
  type DecodedHeader,
  decodeHeader,
  isBeingRepaired,
  KNOWN_FEATURES,
  type PoolHeader,
  unknownOf,
} from './header.js';

export type HeaderCopy = 0 | 1;

export interface HeaderChoice {
  readonly header: PoolHeader;
  /**
   * The page that it was decoded from. It includes reserved bytes, which must be kept when the
   * other copy is written.
   */
  readonly bytes: Uint8Array;
  /** The copy it was read from. */
  readonly copy: HeaderCopy;
  /** The copy that a writable open must first make equal to this one. */
  readonly rewrite?: HeaderCopy;
  /** Why the other copy was not usable; absent if it is only older, or equal. */
  readonly damage?: string;
  /** False if the pool has an unknown feature that allows only reading. */
  readonly writable: boolean;
}

export interface ChoiceOptions {
  /** The copy that counts if they contradict each other. */
  readonly prefer?: HeaderCopy | undefined;
  /** Whether the caller may see a pool that is half repaired. */
  readonly isForRepair?: boolean;
}

/**
 * @param copy0 the bytes of page 0, as many as there are; undefined if they could not be read
 * @param copy1 the same for page 1
 * @throws POOL_CORRUPT, NOT_SUPPORTED, INVALID_ARGUMENT (a copy is preferred that cannot be, or
 *   without need); `details` has the reasons as `copy0` and `copy1`, and for POOL_CORRUPT `absent`:
 *   whether neither begins like a header, so that the file is not a pool
 */
export function chooseHeader(
  copy0: Uint8Array | undefined,
  copy1: Uint8Array | undefined,
  { prefer, isForRepair = false }: ChoiceOptions = {},
): HeaderChoice {
  const chosen = choosePage(copy0, copy1, prefer);
  if (isForRepair || !isBeingRepaired(chosen.header)) return chosen;
  throw new BedrockError(
    'POOL_CORRUPT',
    'a repair of the pool was interrupted half way; run `bedrock pool repair` on it once more',
    { details: { absent: false } },
  );
}

function choosePage(
  copy0: Uint8Array | undefined,
  copy1: Uint8Array | undefined,
  prefer: HeaderCopy | undefined,
): HeaderChoice {
  const first = decode(copy0);
  const isSame = copy0 !== undefined && copy1 !== undefined && Buffer.compare(copy0, copy1) === 0;
  const decoded = [first, isSame ? first : decode(copy1)] as const;
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
  const [, second] = decoded;
  if ('header' in first && 'header' in second)
    return chooseOfTwo(first.header, second.header, copy0 as Uint8Array, copy1 as Uint8Array, prefer);
  if (prefer !== undefined && ('header' in first || 'header' in second)) throw needless();
  if ('header' in first)
    return { ...choice(first.header, copy0, 0), rewrite: 1, damage: reasonOf(second) as string };
  if ('header' in second)
    return { ...choice(second.header, copy1, 1), rewrite: 0, damage: reasonOf(first) as string };
  throw new BedrockError(
    'POOL_CORRUPT',
    details.absent
      ? 'the file is not a pool: it does not begin like one'
      : `neither header of the pool can be used: of copy 0, ${first.reason}; of copy 1, ${second.reason}`,
    { details },
  );
}

function chooseOfTwo(
  first: PoolHeader,
  second: PoolHeader,
  copy0: Uint8Array,
  copy1: Uint8Array,
  prefer: HeaderCopy | undefined,
): HeaderChoice {
  const samePool = first.poolLow === second.poolLow && first.poolHigh === second.poolHigh;
  const isEqual = samePool && Buffer.compare(copy0, copy1) === 0;
  const isOrdered = isEqual || (samePool && first.sequence !== second.sequence);
  if (isOrdered && prefer !== undefined) throw needless();
  if (isEqual) return choice(first, copy0, 0);
  if (isOrdered)
    return first.sequence > second.sequence
      ? { ...choice(first, copy0, 0), rewrite: 1 }
      : { ...choice(second, copy1, 1), rewrite: 0 };
  const contradiction = samePool
    ? `the two headers of the pool differ and have the same sequence ${first.sequence}`
    : 'the two headers belong to different pools';
  if (prefer === 0) return { ...choice(first, copy0, 0), rewrite: 1, damage: contradiction };
  if (prefer === 1) return { ...choice(second, copy1, 1), rewrite: 0, damage: contradiction };
  throw new BedrockError(
    'POOL_CORRUPT',
    `${contradiction}; compare the results of \`bedrock pool check --header 0\` and \`--header 1\`, then repair with one of them`,
    { details: { absent: false, contradiction } },
  );
}

function needless(): BedrockError {
  return invalid(
    'the headers of the pool do not contradict each other, so there is nothing to choose; leave out --header',
  );
}

function choice(header: PoolHeader, bytes: Uint8Array | undefined, copy: HeaderCopy): HeaderChoice {
  const unknown = unknownOf(header.features.readOnlyCompatible, KNOWN_FEATURES.readOnlyCompatible);
  return { header, bytes: bytes as Uint8Array, copy, writable: unknown === 0 };
}

function decode(bytes: Uint8Array | undefined): DecodedHeader {
  return bytes === undefined ? { fault: 'damaged', reason: 'it cannot be read' } : decodeHeader(bytes);
}

function reasonOf(decoded: DecodedHeader): string | undefined {
  return 'fault' in decoded ? decoded.reason : undefined;
}
