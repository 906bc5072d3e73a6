/** The cost of requests beyond that of their bytes, for the turns of their connections. */
import type { IncomingMessage } from 'node:http';

/** This many bytes of JSON, read or written, cost as much as a small request of the Redis protocol. */
const JSON_BYTES_A_UNIT = 32;

const noted = new WeakMap<IncomingMessage, number>();

/** Records JSON that was read for a request, or written for its answer. */
export function noteJson(request: IncomingMessage, bytes: number): void {
  const units = Math.floor(bytes / JSON_BYTES_A_UNIT);
  if (units > 0) noted.set(request, workOf(request) + units);
}

/** @returns units, as `Turn.spend` takes them */
export function workOf(request: IncomingMessage): number {
  return noted.get(request) ?? 0;
}
