/**
 * If-Match, If-None-Match and If-Range (RFC 9110, 13.1) of requests about a region. The entity tag
 * of a region is its ID in quotes.
 *
 * An ID always refers to the same region. So If-Match for an ID only says that the region must
 * exist. It says nothing about its bytes, which may be overwritten in place. Therefore a region
 * that is requested by ID has no ETag, and a GET by ID is never told that a cached copy is still
 * valid. With a name it is different: new contents are a new region. So the ID tells one `put` from
 * the next, as a client with a cached copy needs.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { BedrockError, invalid } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';

type Header = 'if-match' | 'if-none-match';

/**
 * Whether a request has a condition that can be checked. There is no modification time, so
 * conditions on it are ignored.
 */
export function isConditional(headers: IncomingHttpHeaders): boolean {
  return headers['if-match'] !== undefined || headers['if-none-match'] !== undefined;
}

/** The entity tag of a region. */
export function tagOf(id: RegionId): string {
  return `"${id.toString()}"`;
}

/**
 * Checks the conditions of a request that changes something.
 * @param id of the existing region; undefined if no region has the name that is to be put
 * @throws PRECONDITION_FAILED, INVALID_ARGUMENT for a header that is not a list of tags
 */
export function checkPreconditions(headers: IncomingHttpHeaders, id: RegionId | undefined): void {
  checkMatch(headers, id);
  const excluded = tagsOf(headers, 'if-none-match');
  if (excluded !== undefined && names(excluded, id))
    throw preconditionFailed('If-None-Match excludes this region');
}

function checkMatch(headers: IncomingHttpHeaders, id: RegionId | undefined): void {
  const asked = tagsOf(headers, 'if-match');
  if (asked === undefined || names(asked, id)) return;
  const what = id === undefined ? 'no region is there' : 'If-Match names another region than this';
  throw preconditionFailed(what);
}

/** What a GET or HEAD gets of a region. */
export interface Selection {
  /** Nothing is sent: the client already has the contents, or asked for them only if they do not exist. */
  readonly isNotWanted: boolean;
  /** The Range header, if it applies. */
  readonly range: string | undefined;
  /** Headers of the answer besides those of the region itself. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * For a request by ID, or by a name given in place of an ID.
 * @throws PRECONDITION_FAILED, INVALID_ARGUMENT
 */
export function selectRegion(headers: IncomingHttpHeaders, id: RegionId): Selection {
  const excluded = tagsOf(headers, 'if-none-match');
  checkMatch(headers, id);
  // Without validators, If-Range never matches, which means the whole region (RFC 9110, 13.1.5).
  const range = headers['if-range'] === undefined ? headers.range : undefined;
  return { isNotWanted: excluded === '*', range, headers: {} };
}

/**
 * For a request to a name.
 * @throws PRECONDITION_FAILED, INVALID_ARGUMENT
 */
export function selectNamed(headers: IncomingHttpHeaders, id: RegionId): Selection {
  // Weak comparison (13.1.2): contents that were compressed on the way still count as the same.
  const known = tagsOf(headers, 'if-none-match', true);
  checkMatch(headers, id);
  // A date is not a tag: there is no modification time.
  const ifRange = headers['if-range']?.toString().trim().toLowerCase();
  const range = ifRange === undefined || ifRange === tagOf(id) ? headers.range : undefined;
  return { isNotWanted: known !== undefined && names(known, id), range, headers: { etag: tagOf(id) } };
}

export function preconditionFailed(what: string, cause?: unknown): BedrockError {
  return new BedrockError('PRECONDITION_FAILED', `${what}, so nothing was done`, { cause });
}

/**
 * Strong comparison (RFC 9110, 8.8.3.2), unless `tags` includes weak tags. If there is no region,
 * no tag matches.
 */
function names(tags: '*' | readonly string[], id: RegionId | undefined): boolean {
  return id !== undefined && (tags === '*' || tags.includes(id.toString()));
}

/** A tag of a list, with what may be before and after it; `W/` makes it weak. */
// oxlint-disable-next-line regexp/no-super-linear-move -- each look begins where the one before ended
const TAG = /[ \t,]*(W\/)?"([^"]*)"[ \t]*(?:,|$)/y;

/** The tags of a header in lower case, without weak ones unless requested, or `*` for any region. */
function tagsOf(headers: IncomingHttpHeaders, name: Header, withWeak = false): '*' | string[] | undefined {
  const text = headers[name]?.trim();
  if (text === undefined || text === '*') return text;
  const tags: string[] = [];
  for (let at = 0; at < text.length; at = TAG.lastIndex) {
    TAG.lastIndex = at;
    const [whole, weak, tag = ''] = TAG.exec(text) ?? [];
    if (whole === undefined) throw invalid(`${name} is neither * nor a list of tags in quotes`);
    if (weak === undefined || withWeak) tags.push(tag.toLowerCase());
  }
  return tags;
}
