/**
 * Regions and names in URLs. A name is the percent-decoded bytes, which must be UTF-8. Dots,
 * slashes and percent signs in it have no special meaning, and letters are not normalised.
 */
import type { FastifyRequest, onRequestHookHandler } from 'fastify';
import { invalid } from '../base/errors.js';
import type { RegionRef } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import { checkName } from '../targets/arguments.js';

const ID_IN_HEX = /^[0-9a-fA-F]{32}$/;

/**
 * The region for a text that may be an ID or a name: 32 hexadecimal digits are an ID, and never a name.
 * @throws INVALID_ARGUMENT
 */
export function refOf(text: string, { capabilities }: Target): RegionRef {
  if (ID_IN_HEX.test(text) || !capabilities.named) return RegionId.parse(text);
  checkName(text);
  return text;
}

/** The name at the end of a path. @throws INVALID_ARGUMENT */
export function nameIn(request: FastifyRequest<{ Params: { '*': string } }>): string {
  const name = request.params['*'];
  checkName(name);
  return name;
}

/**
 * The path of a name. Its slashes are not encoded.
 * @param target number of the target, if the request had one
 */
export function pathOfName(provider: string, name: string, target: string | undefined): string {
  const path = `/v1/providers/${encodeURIComponent(provider)}/names/${encodeURIComponent(name).replaceAll('%2F', '/')}`;
  return target === undefined ? path : `${path}?target=${target}`;
}

/**
 * Refuses a URL that is not percent-encoded UTF-8: decoded in another way, it would be another
 * name. The router checks only the path, and takes malformed percent-encoding in the query as plain
 * text.
 */
export const refuseOtherText: onRequestHookHandler = ({ raw: { url = '' } }, _reply, done) => {
  if (isText(url)) done();
  else
    done(
      invalid(
        'the URL has bytes that are not UTF-8, or are not percent-encoded, as names and other text must be',
      ),
    );
};

function isText(url: string): boolean {
  // oxlint-disable-next-line no-control-regex -- all of ASCII
  if (/[^\x00-\x7f]/.test(url)) return false;
  try {
    decodeURIComponent(url);
    return true;
  } catch {
    return false;
  }
}
