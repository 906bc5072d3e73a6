/** Makes errors from the statuses that the addon returns for calls on a mapping. */
import { constants } from 'node:os';
import { BedrockError } from '../core/base/errors.js';
import { Status } from './binding.js';
import { invalidArgument, isSize, show, SystemError } from './errors.js';

interface Mapped {
  readonly path: string;
  readonly size: number;
}

/** The error of a copy, which may be caused by its source. */
export function copyFault(
  mapping: Mapped,
  outcome: number,
  offset: number,
  source: Uint8Array,
  sourceOffset: number,
  length: number,
): Error {
  if (outcome === Status.sourceOutOfRange) {
    const message = `copy of ${length} bytes from ${sourceOffset} on exceeds the source's ${source.length} bytes`;
    return new BedrockError('OUT_OF_RANGE', message);
  }
  if (outcome === Status.invalid && isSize(offset) && isSize(length)) {
    if (!isSize(sourceOffset))
      return invalidArgument(`sourceOffset must be a whole number, not ${show(sourceOffset)}`);
    return invalidArgument(`source must be a Uint8Array, not ${show(source)}`);
  }
  return faultOf(mapping, outcome, 'copy', offset, length);
}

/** The error of a status. @param what the call, as a noun; @param value its third number */
export function faultOf(
  mapping: Mapped,
  status: number,
  what: string,
  offset: number,
  length: number,
  value?: number,
): Error {
  switch (status) {
    case Status.closed:
      return closedFault(mapping);
    case Status.readOnly:
      return readOnlyFault(mapping);
    case Status.lost:
      return lostFault(mapping, what);
    case Status.outOfRange:
      return new BedrockError(
        'OUT_OF_RANGE',
        `${what} of ${length} bytes at ${offset} exceeds mapping size ${mapping.size}`,
        { details: { offset, size: length, mappingSize: mapping.size } },
      );
    case Status.misaligned:
      return invalidArgument(`offset must be a multiple of 8, not ${show(offset)}`);
  }
  const [name, found] = (
    [
      ['offset', offset],
      ['length', length],
    ] as const
  ).find(([, size]) => !isSize(size)) ?? ['value', value];
  const range = name === 'value' ? (what === 'fill' ? '0 to 255' : '0 to 2^32 - 1') : '0 to 2^53 - 1';
  return invalidArgument(`${name} must be a whole number from ${range}, not ${show(found)}`);
}

/** A call on a mapping with lost pages may have touched one of them. */
export function lostFault({ path }: Mapped, what: string): SystemError {
  const why = 'a part of the mapped file is lost: it was cut off, or its medium failed';
  return new SystemError('EIO', -constants.errno.EIO, what, `${why} (${path})`, path);
}

export function closedFault(mapping: Mapped): BedrockError {
  return new BedrockError('MAPPING_CLOSED', `the mapping of ${mapping.path} is closed`);
}

export function readOnlyFault(mapping: Mapped): BedrockError {
  return new BedrockError('READ_ONLY', `the mapping of ${mapping.path} is for reading only`);
}
