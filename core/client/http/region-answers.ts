/**
 * Converts answers of a daemon over HTTP to results and errors. The figures of one region are in
 * headers; lists are JSON.
 */
import { BedrockError } from '../../base/errors.js';
import type {
  NamedRegion,
  NamesPage,
  PutOptions,
  RegionRef,
  TransactionResult,
} from '../../contract/names.js';
import { RegionId } from '../../contract/region-id.js';
import type { RegionPage, RegionStat } from '../../contract/target.js';
import type { HttpResponse } from './http-connection.js';

type Headers = HttpResponse['headers'];

/** The region of which the ETag has the ID. */
export function idOf({ etag }: Headers): RegionId {
  return RegionId.parse(String(etag).replaceAll('"', ''));
}

/** A region that was asked for by its ID. */
export function statOf(headers: Headers, id: RegionId): RegionStat {
  const name = headers['region-name'];
  return {
    id,
    ...figuresOf(headers),
    ...(name !== undefined && { name: decodeURIComponent(String(name)) }),
  };
}

/** A region that was asked for by its name. */
export function namedOf(headers: Headers, name: string): NamedRegion {
  return { name, id: idOf(headers), ...figuresOf(headers) };
}

function figuresOf(headers: Headers): Pick<RegionStat, 'size' | 'createdAt'> {
  return { size: Number(headers['content-length']), createdAt: Number(headers['region-created-at']) };
}

/** A page of regions, as JSON. */
export interface WirePage {
  regions: { id: string; size: number; createdAt: number; name?: string }[];
  next?: string;
}

export function pageOf({ regions, next }: WirePage): RegionPage {
  return {
    regions: regions.map((region) => ({ ...region, id: RegionId.parse(region.id) })),
    ...(next !== undefined && { next: RegionId.parse(next) }),
  };
}

/** A page of names, as JSON. */
export interface WireNames {
  names: { name: string; id: string; size: number; createdAt: number }[];
  prefixes: string[];
  next?: string;
}

export function namesOf({ names, ...page }: WireNames): NamesPage {
  return { ...page, names: names.map((named) => ({ ...named, id: RegionId.parse(named.id) })) };
}

/** The result of a transaction, as JSON. */
export interface WireIds {
  ids: (string | null)[];
}

export function transactionOf({ ids }: WireIds): TransactionResult {
  return { ids: ids.map((id) => (id === null ? null : RegionId.parse(id))) };
}

/**
 * The error of a request for a region that is not there; other errors unchanged. The answer to a
 * HEAD has only the code.
 */
export function refusalOfHead(error: unknown, ref: RegionRef, type: string): unknown {
  if (!(error instanceof BedrockError) || error.code !== 'REGION_NOT_FOUND') return error;
  const which = typeof ref === 'string' ? `has the name ${JSON.stringify(ref)}` : ref.toString();
  return new BedrockError('REGION_NOT_FOUND', `no region ${which} in this ${type} target`, { cause: error });
}

/** The error of a put that the daemon has refused because of its condition; other errors unchanged. */
export function refusalOfPut(error: unknown, condition: PutOptions['if']): unknown {
  if (!(error instanceof BedrockError) || error.code !== 'PRECONDITION_FAILED') return error;
  const [code, text] =
    condition === 'absent'
      ? (['NAME_TAKEN', 'a region has that name already'] as const)
      : (['CONDITION_FAILED', 'another region has that name, or none'] as const);
  return new BedrockError(code, `${text}, so nothing was put`, { cause: error });
}

/** The error of a transaction that is larger than the daemon allows; other errors unchanged. */
export function refusalOfTransaction(error: unknown, bytes: number): unknown {
  if (!(error instanceof BedrockError) || error.code !== 'BODY_TOO_LARGE') return error;
  const { message, details } = error;
  return new BedrockError('TRANSACTION_TOO_LARGE', `the daemon does not take it: ${message}`, {
    cause: error,
    details: { ...details, bytes },
  });
}
