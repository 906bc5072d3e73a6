/**
 * What is compared over sockets: every row of the section has a name that says the cell it stands
 * for, such as "TCP, memory, write 64 B, depth 1", and can be found by it again.
 */
import { sizeText } from '../table.js';
import { BARE, BARE_ONE_WAY, CONNECTED, HTTP_DOOR, REDIS, REDIS_DURABLE } from './contenders.js';

export const TRANSPORTS = { tcp: 'TCP', unix: 'unix socket' };
export const SIZES = [64, 4096, 65536, 2 ** 20];
export const DEPTHS = [1, 16, 32];
export const OPERATIONS = { write: 'write', read: 'read', writeDurably: 'durable write' };

/** From this size on the bytes cost more than the operation. */
const LARGE_BYTES = 65536;

export function cellName(store, { transport, operation, size, depth }) {
  return `${TRANSPORTS[transport]}, ${store}, ${OPERATIONS[operation]} ${sizeText(size)}, depth ${depth}`;
}

/**
 * The cells with a text in their name: {transport, operation, size, depth, comparisons: [{store,
 * reference}…]}.
 */
export function allCells(text) {
  const cells = [];
  for (const transport of Object.keys(TRANSPORTS)) {
    for (const operation of Object.keys(OPERATIONS)) {
      for (const size of SIZES) {
        for (const depth of DEPTHS) {
          const cell = { transport, operation, size, depth };
          const comparisons = comparisonsOf(cell).filter(({ store }) => cellName(store, cell).includes(text));
          if (comparisons.length > 0) cells.push({ ...cell, comparisons });
        }
      }
    }
  }
  return cells;
}

function comparisonsOf({ transport, operation, size, depth }) {
  if (operation === 'writeDurably') return [{ store: 'pmem', reference: REDIS_DURABLE }];
  const found = [];
  for (const store of ['memory', 'pmem']) {
    found.push({ store, reference: REDIS });
    // An answer for each message at depth 1 as well, else the bound would not have to wait for it.
    if (size >= LARGE_BYTES) found.push({ store, reference: depth === 1 ? BARE : BARE_ONE_WAY });
  }
  found.push({ store: CONNECTED, reference: REDIS });
  if (transport === 'tcp') found.push({ store: 'memory', reference: HTTP_DOOR });
  return found;
}
