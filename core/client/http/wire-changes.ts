/**
 * Converts the changes of a transaction to the JSON that the daemon takes over HTTP, with bytes in
 * base64. docs/http.md describes the form.
 */
import type { Change, RegionRef } from '../../contract/names.js';

/** @param changes must have been checked */
export function wireChanges(changes: readonly Change[]): object[] {
  return changes.map(wireChange);
}

function wireChange(change: Change): object {
  switch (change.type) {
    case 'write': {
      const { type, ref, offset, bytes } = change;
      return { type, ...wireRef(ref), offset, bytes: base64(bytes) };
    }
    case 'put':
      return { type: change.type, name: change.name, contents: base64(change.contents) };
    case 'erase':
      return { type: change.type, ...wireRef(change.ref) };
    case 'rename': {
      const { type, ref, to, replace } = change;
      return { type, ...wireRef(ref), to, replace };
    }
    case 'expect':
      return { type: change.type, name: change.name, id: change.id?.toString() ?? null };
  }
}

function wireRef(ref: RegionRef): { name: string } | { id: string } {
  return typeof ref === 'string' ? { name: ref } : { id: ref.toString() };
}

function base64({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('base64');
}
