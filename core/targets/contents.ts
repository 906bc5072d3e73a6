/** Contents of a new region, as bytes or as a source of bytes. */
import { invalid } from '../base/errors.js';
import type { RegionSource } from '../contract/target.js';
import { checkBytes, checkSize } from './arguments.js';

/**
 * Turns either form into a source. It checks the shape of its argument.
 * @throws INVALID_ARGUMENT
 */
export function sourceOf(contents: unknown): RegionSource {
  if (ArrayBuffer.isView(contents)) {
    checkBytes('contents', contents);
    return { size: contents.length, source: [contents] };
  }
  const { size, source } = (contents ?? {}) as Partial<RegionSource>;
  if (size === undefined || !isIterable(source)) {
    throw invalid('contents must be a Uint8Array or {size, source}');
  }
  checkSize('size', size);
  return { size, source };
}

function isIterable(thing: unknown): thing is RegionSource['source'] {
  return (
    typeof thing === 'object' && thing !== null && (Symbol.asyncIterator in thing || Symbol.iterator in thing)
  );
}
