/**
 * The protocol of a migration between two warabi providers: routes of the destination, which the
 * source calls. They are ordinary routes of a provider, so they work over HTTP and over the Redis
 * protocol (BEDROCK.REQUEST).
 *
 * | route | says | answer |
 * |---|---|---|
 * | POST /migration/begin | the pool ID for each target | a session, and for each target whether it had begun before |
 * | POST /migration/erased | IDs that must never be used again; regions that are gone | nothing |
 * | PUT /migration/pieces | parts of regions, with what is known of each region | for each part the SHA-256 of what is there now |
 * | POST /migration/compare | parts of regions | for each part the SHA-256 of what is there, and the name |
 * | POST /migration/list | after which ID | a page of the IDs that are there |
 * | POST /migration/finish | how many regions each target has | nothing: from now on the targets serve |
 * | POST /migration/abandon | which pools | nothing: the targets are empty again |
 *
 * Every call may be repeated. A `begin` ends the previous session, and later calls in that session
 * are refused. Regions that a session brought stay; the next session compares them by checksum.
 *
 * The body of `pieces`: the length of the head (4 bytes, little-endian), the head (JSON,
 * `PiecesHead`), then the bytes of all parts, one after another.
 */
import { BedrockError, type ByteStream, type RegionId, type RouteRequest } from '../../../core/index.js';

/** The version of the protocol. Source and destination refuse another version. */
export const WIRE_VERSION = 1;

export interface BeginRequest {
  readonly version: number;
  /** In the order of the targets. */
  readonly targets: readonly {
    /** 16 hexadecimal digits. */
    readonly poolId: string;
    /** Whether some region has a name. */
    readonly named: boolean;
  }[];
}

/** `finished`: the target has this pool ID and serves it. */
export type DestinationState = 'begun' | 'resumed' | 'finished';

export interface BeginAnswer {
  readonly version: number;
  readonly session: string;
  readonly targets: readonly { readonly state: DestinationState; readonly type: string }[];
}

/** The session and target of a request. */
export interface InSession {
  readonly session: string;
  /** Number of the target. */
  readonly target: number;
}

export interface ErasedRequest extends InSession {
  readonly ids: readonly string[];
}

/** A part of a region, and the region as it is at the source. */
export interface Piece {
  readonly id: string;
  /** Bytes of the whole region. */
  readonly size: number;
  readonly createdAt: number;
  /** null: the region has none. */
  readonly name: string | null;
  readonly offset: number;
  readonly length: number;
  /**
   * Whether the region is sent as a whole, in order, beginning with this piece. What was received
   * of it before is dropped.
   */
  readonly first?: boolean;
}

export interface PiecesHead extends InSession {
  readonly pieces: readonly Piece[];
}

/** The result of a part. `failed` is the code of an error. */
export type PieceResult = { readonly sum: string } | { readonly failed: string; readonly message: string };

export interface CompareRequest extends InSession {
  readonly parts: readonly { readonly id: string; readonly offset: number; readonly length: number }[];
}

export interface CompareAnswer {
  /** null: there is no such region, or it is too short. */
  readonly parts: readonly ({ readonly sum: string; readonly name: string | null } | null)[];
}

export interface ListRequest extends InSession {
  readonly after?: string;
}

export interface ListAnswer {
  readonly ids: readonly string[];
  readonly next?: string;
}

export interface FinishRequest {
  readonly session: string;
  readonly targets: readonly { readonly poolId: string; readonly regions: number }[];
}

export interface AbandonRequest {
  readonly pools: readonly string[];
}

/** Parts in one request. */
export const MAX_PIECES = 256;
/** IDs in one request. */
export const MAX_IDS = 1000;
/** Parts that are compared in one request, and the most bytes of one part, or of a request's pieces. */
export const MAX_COMPARED = 256;
export const COMPARED_BYTES = 2 ** 24;

const HEAD_LENGTH_BYTES = 4;
const MAX_HEAD_BYTES = 2 ** 20;
const MAX_BODY_BYTES = HEAD_LENGTH_BYTES + MAX_HEAD_BYTES + COMPARED_BYTES;

/** The body of `pieces`. @param contents the bytes of the pieces, in order */
export function encodePieces(head: PiecesHead, contents: readonly Uint8Array[]): Buffer {
  const text = Buffer.from(JSON.stringify(head));
  const length = Buffer.alloc(HEAD_LENGTH_BYTES);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text, ...contents]);
}

/** @throws INVALID_ARGUMENT */
export function decodePieces(body: Buffer): { head: PiecesHead; contents: Buffer[] } {
  const length = body.length < HEAD_LENGTH_BYTES ? Infinity : body.readUInt32LE(0);
  const end = HEAD_LENGTH_BYTES + length;
  if (length > MAX_HEAD_BYTES || end > body.length) throw malformed('its head is not whole');
  let head: PiecesHead;
  try {
    head = JSON.parse(body.toString('utf8', HEAD_LENGTH_BYTES, end)) as PiecesHead;
  } catch (cause) {
    throw malformed('its head is not JSON', cause);
  }
  if (!isHead(head)) throw malformed('its head lacks a member, or has a wrong one');
  let at = end;
  const contents = head.pieces.map((piece) => body.subarray(at, (at += piece.length)));
  if (at !== body.length)
    throw malformed(`it has ${body.length - end} bytes of parts, and announces ${at - end}`);
  return { head, contents };
}

function isHead(head: Partial<PiecesHead> | null): head is PiecesHead {
  if (typeof head !== 'object' || head === null) return false;
  const { session, target, pieces } = head;
  if (typeof session !== 'string' || !isCount(target)) return false;
  return Array.isArray(pieces) && pieces.length <= MAX_PIECES && pieces.every(isPiece);
}

function isPiece(piece: Partial<Piece> | null): piece is Piece {
  if (typeof piece !== 'object' || piece === null) return false;
  const { id, size, createdAt, name, offset, length } = piece;
  return (
    typeof id === 'string' &&
    [size, createdAt, offset, length].every(isCount) &&
    (name === null || typeof name === 'string') &&
    (offset as number) + (length as number) <= (size as number)
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function malformed(why: string, cause?: unknown): BedrockError {
  return new BedrockError('INVALID_ARGUMENT', `the body of a migration's pieces is malformed: ${why}`, {
    cause,
  });
}

/** Reads the whole body of `pieces`. @throws INVALID_ARGUMENT */
export async function bodyOf({
  body,
}: Pick<RouteRequest<string, string, ByteStream>, 'body'>): Promise<Buffer> {
  if (body.size > MAX_BODY_BYTES)
    throw malformed(`it has ${body.size} bytes, and at most ${MAX_BODY_BYTES} are allowed`);
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(Uint8Array.prototype.slice.call(piece));
  return Buffer.concat(pieces);
}

/** What a piece tells of its region. */
export function pieceOf(
  { id, size, createdAt, name }: { id: RegionId; size: number; createdAt: number; name?: string },
  offset: number,
  length: number,
): Piece {
  return { id: id.toString(), size, createdAt, name: name ?? null, offset, length };
}
