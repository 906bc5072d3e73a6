/** The Range header (RFC 9110, 14): one range of bytes is served, anything else means the whole region. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { closeDaemons, expectProblem, runDaemon, type Answer, type RunningDaemon } from './running-daemon.js';

const CONTENTS = 'abcdefghij';

let daemon: RunningDaemon;
let place: string;
let empty: string;

beforeAll(async () => {
  daemon = await runDaemon();
  place = await daemon.regionOf(Buffer.from(CONTENTS));
  empty = await daemon.regionOf(Buffer.alloc(0));
});
afterAll(closeDaemons);

function get(path: string, range: string, headers: Record<string, string> = {}): Promise<Answer> {
  return daemon.call('GET', path, { headers: { range, ...headers } });
}

describe('206 Partial Content answers', () => {
  it.each([
    ['bytes=0-0', 'a', '0-0'],
    ['bytes=0-9', CONTENTS, '0-9'],
    ['bytes=2-4', 'cde', '2-4'],
    ['bytes=9-9', 'j', '9-9'],
    ['bytes=000002-0004', 'cde', '2-4'],
    ['BYTES=2-4', 'cde', '2-4'],
    ['bytes=3-', 'defghij', '3-9'],
    ['bytes=0-', CONTENTS, '0-9'],
    ['bytes=9-', 'j', '9-9'],
    ['bytes=-1', 'j', '9-9'],
    ['bytes=-10', CONTENTS, '0-9'],
    ['bytes=-11', CONTENTS, '0-9'],
    ['bytes=-99999999999999999999', CONTENTS, '0-9'],
    ['bytes=8-10', 'ij', '8-9'],
    ['bytes=8-9007199254740991', 'ij', '8-9'],
    ['bytes=8-99999999999999999999', 'ij', '8-9'],
  ])('%s', async (range, part, span) => {
    const answer = await get(place, range);
    expect(answer.status).toBe(206);
    expect(answer.bytes.toString()).toBe(part);
    expect(answer.headers).toMatchObject({
      'content-range': `bytes ${span}/10`,
      'content-length': String(part.length),
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
    });
  });

  it('parts of a region that goes out in pieces', async () => {
    const bytes = Buffer.alloc(700_000, 'abcdefg');
    const large = await daemon.regionOf(bytes);
    for (const [first, last] of [
      [0, 699_999],
      [1, 262_144],
      [262_143, 524_288],
      [300_000, 699_998],
    ] as const) {
      const answer = await get(large, `bytes=${first}-${last}`);
      expect(answer.headers['content-range']).toBe(`bytes ${first}-${last}/700000`);
      expect(answer.bytes.equals(bytes.subarray(first, last + 1))).toBe(true);
    }
  });
});

describe('OUT_OF_RANGE (416) answers', () => {
  it.each(['bytes=10-', 'bytes=10-10', 'bytes=11-20', 'bytes=99999999999999999999-', 'bytes=-0'])(
    '%s, saying how large the region is',
    async (range) => {
      const answer = await get(place, range);
      expectProblem(answer, 416, 'OUT_OF_RANGE');
      expect(answer.headers['content-range']).toBe('bytes */10');
      expect(answer.headers['accept-ranges']).toBeUndefined();
    },
  );

  it.each(['bytes=0-', 'bytes=0-0', 'bytes=5-', 'bytes=-0'])('%s of an empty region', async (range) => {
    const answer = await get(empty, range);
    expectProblem(answer, 416, 'OUT_OF_RANGE');
    expect(answer.headers['content-range']).toBe('bytes */0');
  });
});

describe('200 with the whole region answers', () => {
  it.each([
    'bytes=0-1,3-4',
    'bytes=0-1, 20-30',
    'bytes=4-2',
    'bytes = 0-1',
    'bytes=0 - 1',
    `bytes=0${' '.repeat(10_000)}x`,
    'bytes=-',
    'bytes=',
    'bytes',
    'bytes=a-b',
    'bytes=1.5-3',
    'bytes=--5',
    'bytes=+1-3',
    'bytes=0x1-0x3',
    '=0-1',
    '0-1',
    'items=0-1',
    'bytes=0-1;x',
    'characters=0-1',
  ])('%s, as it is several ranges, malformed or of another unit', async (range) => {
    const answer = await get(place, range);
    expect(answer.status).toBe(200);
    expect(answer.bytes.toString()).toBe(CONTENTS);
    expect(answer.headers['content-range']).toBeUndefined();
  });

  it.each(['"some-tag"', 'W/"some-tag"', 'Sat, 01 Jan 2022 00:00:00 GMT', 'x'])(
    'a range with If-Range: %s, which never matches',
    async (condition) => {
      const answer = await get(place, 'bytes=0-1', { 'if-range': condition });
      expect(answer.status).toBe(200);
      expect(answer.bytes.toString()).toBe(CONTENTS);
      expect((await get(place, 'bytes=99-', { 'if-range': condition })).status).toBe(200);
    },
  );

  it('the last bytes of an empty region, as these are the whole of it', async () => {
    const answer = await get(empty, 'bytes=-5');
    expect(answer.status).toBe(200);
    expect(answer.headers['content-length']).toBe('0');
    expect((await daemon.call('GET', empty)).status).toBe(200);
  });

  it('HEAD, for which ranges are not defined', async () => {
    const answer = await daemon.call('HEAD', place, { headers: { range: 'bytes=0-1' } });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-length']).toBe('10');
  });
});
