/**
 * Requests come out of the parser as they went in, however the network cuts them; anything else is
 * a fault, and never a crash.
 */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ByteBudget } from '../../core/net/byte-budget.js';
import { Found, RequestParser } from '../../core/redis-wire/request-parser.js';
import { Input } from '../../core/resp/input.js';

const LIMITS = { maxArguments: 64, maxBulkBytes: 100_000, longArgumentBytes: 1000 };

/** What a stream of bytes is read as: the arguments of each request, and the fault that ended it. */
interface Read {
  requests: Buffer[][];
  fault: string;
}

/** Reads pieces as a client does, long arguments into buffers of their own. */
function readPieces(pieces: readonly Uint8Array[], limits = LIMITS): Read {
  const parser = new RequestParser(limits);
  const input = new Input(2 ** 20, new ByteBudget(Infinity).share());
  const requests: Buffer[][] = [];
  let long: { index: number; bytes: Buffer; filled: number }[] = [];
  let arriving: (typeof long)[number] | undefined;
  const parse = (): boolean => {
    for (;;) {
      const found = parser.next(input.bytes, input.end);
      if (found === Found.incomplete) return true;
      if (found === Found.fault) return false;
      if (found === Found.longArgument) {
        const here = Math.min(parser.longBytes, input.end - parser.position);
        arriving = { index: parser.count, bytes: Buffer.alloc(parser.longBytes), filled: here };
        long.push(arriving);
        input.bytes.copy(arriving.bytes, 0, parser.position, parser.position + here);
        if (here < parser.longBytes) {
          input.end = parser.position;
          return true;
        }
        arriving = undefined;
        parser.resumeBehindLong(parser.position + here);
        continue;
      }
      const { starts, ends } = parser;
      const argument = (index: number): Buffer =>
        long.find((each) => each.index === index)?.bytes ??
        Buffer.from(input.bytes.subarray(starts[index], ends[index]));
      requests.push(Array.from({ length: parser.count }, (_, index) => argument(index)));
      long = [];
    }
  };
  for (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      let count: number;
      if (arriving !== undefined) {
        count = Math.min(arriving.bytes.length - arriving.filled, piece.length - at);
        arriving.bytes.set(piece.subarray(at, at + count), arriving.filled);
        arriving.filled += count;
        if (arriving.filled === arriving.bytes.length) {
          arriving = undefined;
          parser.resumeBehindLong(input.end);
        }
      } else {
        const moved = input.makeRoom(parser.begin, false, parser.count);
        if (moved < 0) return { requests, fault: 'too large' };
        parser.moved(moved);
        const room = input.room(false);
        count = Math.min(room.length, piece.length - at);
        room.set(piece.subarray(at, at + count));
        input.end += count;
      }
      at += count;
      if (arriving === undefined && !parse()) return { requests, fault: parser.fault };
    }
  }
  return { requests, fault: '' };
}

function encode(requests: readonly (readonly Uint8Array[])[]): Buffer {
  return Buffer.concat(
    requests.flatMap((request) => [
      Buffer.from(`*${request.length}\r\n`),
      ...request.flatMap((bytes) => [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]),
    ]),
  );
}

/** Cuts bytes at places. */
function cut(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  return sorted.map((to) => bytes.subarray(from, (from = to)));
}

const argument = fc.oneof(
  { weight: 8, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 900, maxLength: 1100, size: 'max' }) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 1, max: 40_000 }).map((size) => new Uint8Array(size).fill(size)),
  },
);
const requestsArbitrary = fc.array(fc.array(argument, { minLength: 1, maxLength: 8 }), { maxLength: 8 });

describe('the request parser', () => {
  it('reads requests as they were sent, in whichever pieces they come', () => {
    fc.assert(
      fc.property(requestsArbitrary, fc.array(fc.nat()), (requests, places) => {
        const { requests: read, fault } = readPieces(cut(encode(requests), places));
        expect(fault).toBe('');
        expect(read.map((row) => row.map((bytes) => bytes.toString('hex')))).toEqual(
          requests.map((row) => row.map((bytes) => Buffer.from(bytes).toString('hex'))),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('reads requests that come byte by byte', () => {
    const requests = [
      [Buffer.from('SETRANGE'), Buffer.from('a'), Buffer.alloc(1500, 7)],
      [Buffer.from('PING')],
    ];
    const bytes = encode(requests);
    const { requests: read, fault } = readPieces(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)));
    expect(fault).toBe('');
    expect(read).toEqual(requests);
  });

  it('reads any bytes the same in whichever pieces they come, and ends each stream at a fault or in want of more', () => {
    const token = fc.oneof(
      fc.constantFrom(
        '*',
        '$',
        '\r\n',
        '\n',
        '\r',
        '1',
        '0',
        '-1',
        '9999999999',
        ' ',
        'PING',
        '*1\r\n$4\r\nPING\r\n',
        '"',
      ),
      fc.string({ maxLength: 3 }),
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 30 }), fc.array(fc.nat()), (tokens, places) => {
        const bytes = Buffer.from(tokens.join(''));
        expect(readPieces(cut(bytes, places))).toEqual(readPieces([bytes]));
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    ['a negative count', '*-1\r\n'],
    ['a count that is none', '*x\r\n'],
    ['too many arguments', '*65\r\n'],
    ['a count of too many digits', '*00000000000000001\r\n'],
    ['an argument that is no bulk string', '*1\r\n:1\r\n'],
    ['a nested array', '*1\r\n*1\r\n'],
    ['a negative length', '*1\r\n$-1\r\n'],
    ['a length above the limit', '*1\r\n$100001\r\n'],
    ['an argument longer than its length', '*1\r\n$1\r\nab\r\n'],
    ['a line that ends with LF alone in an array', '*1\n'],
    ['an inline command without end', 'a'.repeat(5000)],
    ['an inline command with quotes', 'ECHO "a b"\r\n'],
  ])('calls %s a fault', (_what, text) => {
    expect(readPieces([Buffer.from(text)]).fault).not.toBe('');
  });

  it('reads a line as its words, and nothing out of empty lines and empty arrays', () => {
    const { requests, fault } = readPieces([Buffer.from('\r\n\n  PING \t x\r\n*0\r\nA\n')]);
    expect(fault).toBe('');
    expect(requests.map((words) => words.map(String))).toEqual([['PING', 'x'], ['A']]);
  });

  it('is not worn out by a flood of empty lines', () => {
    expect(readPieces([Buffer.alloc(100_000, '\n')])).toEqual({ requests: [], fault: '' });
  });
});
