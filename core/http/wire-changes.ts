/**
 * Converts the changes of a transaction from JSON. A region is given by `id` or by `name`; bytes
 * are base64 (RFC 4648, 4). The schema has checked the members and their types; the target checks
 * the rest.
 */
import { invalid } from '../base/errors.js';
import type { Change, RegionRef } from '../contract/names.js';
import { RegionId } from '../contract/region-id.js';
import { ofChange } from '../targets/name-arguments.js';

interface WireRef {
  readonly id?: string;
  readonly name?: string;
}

export type WireChange =
  | (WireRef & { readonly type: 'write'; readonly offset: number; readonly bytes: string })
  | { readonly type: 'put'; readonly name: string; readonly contents: string }
  | (WireRef & { readonly type: 'erase' })
  | (WireRef & { readonly type: 'rename'; readonly to: string | null; readonly replace?: boolean })
  | { readonly type: 'expect'; readonly name: string; readonly id: string | null };

/** @throws INVALID_ARGUMENT (details: change, its index in the list) */
export function changesOf(changes: readonly WireChange[]): Change[] {
  return changes.map((change, at) => {
    try {
      return changeOf(change);
    } catch (error) {
      throw ofChange(error, at);
    }
  });
}

function changeOf(change: WireChange): Change {
  switch (change.type) {
    case 'write':
      return {
        type: 'write',
        ref: refOf(change),
        offset: change.offset,
        bytes: bytesOf('bytes', change.bytes),
      };
    case 'put':
      return { type: 'put', name: change.name, contents: bytesOf('contents', change.contents) };
    case 'erase':
      return { type: 'erase', ref: refOf(change) };
    case 'rename':
      return { type: 'rename', ref: refOf(change), to: change.to, replace: change.replace === true };
    case 'expect':
      return { type: 'expect', name: change.name, id: change.id === null ? null : RegionId.parse(change.id) };
  }
}

function refOf({ id, name }: WireRef): RegionRef {
  if ((id === undefined) === (name === undefined))
    throw invalid('it needs the region, by its id or by its name, and one of the two alone');
  return id === undefined ? (name as string) : RegionId.parse(id);
}

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Strict, because Buffer skips invalid characters, and other bytes would be written than were meant. */
function bytesOf(member: string, text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  if (text.length % 4 === 0 && BASE64.test(text) && bytes.length === sizeOf(text)) return bytes;
  throw invalid(`${member} is not base64 with padding (RFC 4648, section 4)`);
}

function sizeOf(text: string): number {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return (text.length / 4) * 3 - padding;
}
