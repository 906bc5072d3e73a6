/**
 * If-Match and If-None-Match (RFC 9110, 13.1) of requests about a region.
 *
 * An ID names a region for ever and no other, so as an entity tag it says which region is meant: what If-Match asks for is there, or
 * the request does nothing. It says nothing of the bytes, which change under it; so no answer carries it as ETag, and a GET is never
 * told that what it has is still good.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { BedrockError } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';

type Header = 'if-match' | 'if-none-match';

/** Whether a request has a condition that can be checked; there is no time of modification, so those on it mean nothing. */
export function isConditional(headers: IncomingHttpHeaders): boolean {
  return headers['if-match'] !== undefined || headers['if-none-match'] !== undefined;
}

/**
 * Checks the conditions of a request about a region that is there. Between this and the request itself the region can only be erased,
 * which the request then meets.
 * @throws PRECONDITION_FAILED, INVALID_ARGUMENT for a header that is no list of tags
 */
export function checkPreconditions(headers: IncomingHttpHeaders, id: RegionId): void {
  const asked = tagsOf(headers, 'if-match');
  if (asked !== undefined && !names(asked, id)) throw failed('If-Match names another region than this');
  const excluded = tagsOf(headers, 'if-none-match');
  if (excluded !== undefined && names(excluded, id)) throw failed('If-None-Match excludes this region');
}

/**
 * The same for GET and HEAD.
 * @returns whether there is nothing to send, as the client wants a region only if there is none
 * @throws PRECONDITION_FAILED, INVALID_ARGUMENT
 */
export function isNotWanted(headers: IncomingHttpHeaders, id: RegionId): boolean {
  const excluded = tagsOf(headers, 'if-none-match');
  checkPreconditions({ 'if-match': headers['if-match'] }, id);
  return excluded === '*';
}

function failed(what: string): BedrockError {
  return new BedrockError('PRECONDITION_FAILED', `${what}, so nothing was done`);
}

/** By the strong comparison (RFC 9110, 8.8.3.2): a weak tag names nothing. */
function names(tags: '*' | readonly string[], id: RegionId): boolean {
  return tags === '*' || tags.includes(id.toString());
}

/** A tag of a list, with what may stand before it and behind it; `W/` makes it weak. */
// oxlint-disable-next-line regexp/no-super-linear-move -- each look begins where the one before ended
const TAG = /[ \t,]*(W\/)?"([^"]*)"[ \t]*(?:,|$)/y;

/** The strong tags of a header in lower case, or that it means any region. */
function tagsOf(headers: IncomingHttpHeaders, name: Header): '*' | string[] | undefined {
  const text = headers[name]?.trim();
  if (text === undefined || text === '*') return text;
  const strong: string[] = [];
  for (let at = 0; at < text.length; at = TAG.lastIndex) {
    TAG.lastIndex = at;
    const [whole, weak, tag = ''] = TAG.exec(text) ?? [];
    if (whole === undefined)
      throw new BedrockError('INVALID_ARGUMENT', `${name} is neither * nor a list of tags in quotes`);
    if (weak === undefined) strong.push(tag.toLowerCase());
  }
  return strong;
}
