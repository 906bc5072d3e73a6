/** Replies of the Redis protocol, read out of any pieces, from peers that may lie. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DISCARD, Found, ReplyParser } from '../../core/redis-wire/reply-parser.js';
import { ReplyError, type Reply } from '../../core/redis-wire/reply.js';

const SCRATCH_BYTES = 2 ** 16;
const LIMITS = { maxReplyBytes: 2 ** 20 };

/** Reads replies as a connection does: the bytes that are not understood yet stay before those that come. */
class Reader {
  readonly parser = new ReplyParser(LIMITS);
  readonly values: Reply[] = [];
  readonly #scratch = Buffer.alloc(SCRATCH_BYTES);
  #kept = 0;

  take(bytes: Uint8Array, into?: Uint8Array): boolean {
    this.#scratch.set(bytes, this.#kept);
    const end = this.#kept + bytes.length;
    this.parser.position = 0;
    let found: Found;
    while ((found = this.parser.next(this.#scratch, end, into)) === Found.reply)
      this.values.push(this.parser.value);
    this.#scratch.copyWithin(0, this.parser.position, end);
    this.#kept = end - this.parser.position;
    return found !== Found.fault;
  }
}

function encode(value: Reply): Buffer {
  if (value === null) return Buffer.from('_\r\n');
  if (typeof value === 'boolean') return Buffer.from(value ? '#t\r\n' : '#f\r\n');
  if (typeof value === 'number')
    return Buffer.from(Number.isInteger(value) ? `:${value}\r\n` : `,${value}\r\n`);
  if (typeof value === 'bigint') return Buffer.from(`(${value}\r\n`);
  if (typeof value === 'string') return Buffer.from(`+${value}\r\n`);
  if (Buffer.isBuffer(value))
    return Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')]);
  if (value instanceof ReplyError) return Buffer.from(`-${value.message}\r\n`);
  if (Array.isArray(value)) {
    const items = value as readonly Reply[];
    return Buffer.concat([Buffer.from(`*${items.length}\r\n`), ...items.map(encode)]);
  }
  const entries = [...(value as ReadonlyMap<string, Reply>)];
  const encoded = entries.flatMap(([key, each]) => [encode(Buffer.from(key)), encode(each)]);
  return Buffer.concat([Buffer.from(`%${entries.length}\r\n`), ...encoded]);
}

const text = fc.string({ unit: 'grapheme-ascii', maxLength: 20 });
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array));
const { reply } = fc.letrec<{ reply: Reply }>((tie) => ({
  reply: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 70n }),
    text,
    bytes,
    text.map((line) => new ReplyError(`ERR ${line}`)),
    fc.array(tie('reply'), { maxLength: 4 }),
    fc.dictionary(text, tie('reply'), { maxKeys: 4 }).map((object) => new Map(Object.entries(object))),
  ),
}));

/** Cuts bytes at random. */
function piecesOf(all: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (all.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((begin, index) => all.subarray(begin, at[index] ?? all.length));
}

const cuts = fc.array(fc.nat(), { maxLength: 12 });

describe('the reply parser', () => {
  it('reads the same replies, however their bytes are split', () => {
    fc.assert(
      fc.property(fc.array(reply, { minLength: 1, maxLength: 5 }), cuts, (replies, at) => {
        const reader = new Reader();
        for (const piece of piecesOf(Buffer.concat(replies.map(encode)), at))
          expect(reader.take(piece)).toBe(true);
        expect(reader.values).toEqual(replies);
      }),
      { numRuns: 300 },
    );
  });

  it('fills the memory of a call with the bulk strings of its reply, and no byte beside it', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 4 }), cuts, (parts, at) => {
        const all = Buffer.concat(parts);
        const memory = Buffer.alloc(all.length + 2, 0xee);
        const reader = new Reader();
        for (const piece of piecesOf(encode(parts), at)) reader.take(piece, memory.subarray(1, -1));
        expect(reader.values).toEqual([all.length]);
        expect(memory.equals(Buffer.concat([Buffer.of(0xee), all, Buffer.of(0xee)]))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (pieces) => {
        const reader = new Reader();
        for (const piece of pieces) if (!reader.take(piece)) return;
      }),
      { numRuns: 500 },
    );
  });

  it('reads the forms of version 2', () => {
    const reader = new Reader();
    reader.take(Buffer.from('$-1\r\n*-1\r\n*2\r\n$1\r\na\r\n:-5\r\n+OK\r\n'));
    expect(reader.values).toEqual([null, null, [Buffer.from('a'), -5], 'OK']);
  });

  it('reads blob errors, texts with a format, doubles, sets and empty maps', () => {
    const reader = new Reader();
    reader.take(Buffer.from('!5\r\nERR a\r\n=6\r\ntxt:ab\r\n,-inf\r\n,1.5e3\r\n~1\r\n#t\r\n%0\r\n'));
    expect(reader.values).toEqual([
      new ReplyError('ERR a'),
      Buffer.from('ab'),
      -Infinity,
      1500,
      [true],
      new Map(),
    ]);
  });

  it('passes over what no call asked for', () => {
    const reader = new Reader();
    const memory = Buffer.alloc(4);
    reader.take(
      Buffer.from('>2\r\n+message\r\n$9\r\nto nobody\r\n|1\r\n+ttl\r\n:5\r\n$4\r\nmine\r\n'),
      memory,
    );
    expect(reader.values).toEqual([4]);
    expect(memory.toString()).toBe('mine');
  });

  it('gives an error instead of filling memory', () => {
    const reader = new Reader();
    reader.take(Buffer.from('-ERR no\r\n'), Buffer.alloc(4));
    expect(reader.values).toEqual([new ReplyError('ERR no')]);
  });

  it('drops what is discarded, however long it is', () => {
    const reader = new Reader();
    reader.take(Buffer.from('$99999999999\r\nabc'), DISCARD);
    expect(reader.parser.missing).toBe(99_999_999_996);
    expect(reader.parser.landing).toBeUndefined();
  });

  it.each([
    ['more bytes than were asked for', '$5\r\n', 4],
    ['a second bulk string that does not fit', '*2\r\n$2\r\nab\r\n$3\r\n', 4],
    ['a reply beyond the limit', '$1048577\r\n', undefined],
    ['more elements than the limit', '*100000\r\n', undefined],
    ['more elements than there can be', '*9999999999\r\n', undefined],
    ['a length that is no number', '$x\r\n', undefined],
    ['a negative length', '$-2\r\n', undefined],
    ['a length beyond all numbers', '$9999999999999999\r\n', undefined],
    ['arrays nested too deep', '*1\r\n'.repeat(20), undefined],
    ['a line without a line feed', '+OK\rX', undefined],
    ['a bulk string that goes on', '$1\r\nabc', undefined],
    ['an integer that is none', ':1x\r\n', undefined],
    ['a line that never ends', `+${'x'.repeat(20_000)}`, undefined],
    ['an answer of HTTP', 'HTTP/1.1 400 Bad Request\r\n', undefined],
    ['a push within a reply', '*1\r\n>1\r\n', undefined],
  ])('refuses %s', (_title, sent, room) => {
    const reader = new Reader();
    expect(reader.take(Buffer.from(sent), room === undefined ? undefined : Buffer.alloc(room))).toBe(false);
    expect(reader.values).toEqual([]);
  });
});
