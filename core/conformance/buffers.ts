/**
 * Rules of memory that callers lend: a target uses it until the promise settles and no longer, and
 * changes only what it has to fill. Each rule then does something with the memory that a caller may
 * do, and checks that neither the region nor the memory shows it.
 */
import type { RegionId } from '../contract/region-id.js';
import type { RegionSource, Target } from '../contract/target.js';
import { aMoment, pattern, sameBytes } from './assertions.js';
import type { Rules } from './rules.js';

const SIZE = 4096;

/** Each writes the buffer's bytes to a region of SIZE bytes, and returns its ID. */
const WRITES: readonly [name: string, write: (target: Target, buffer: Buffer) => Promise<RegionId>][] = [
  ['createAndWrite', (target, buffer) => target.createAndWrite(buffer)],
  ['createAndWrite with persist', (target, buffer) => target.createAndWrite(buffer, { persist: true })],
  ...[{}, { persist: true }].flatMap((options): typeof WRITES => {
    const how = options.persist === true ? ' with persist' : '';
    const whole = [{ offset: 0, size: SIZE }];
    return [
      [`write${how}`, into((target, id, buffer) => target.write(id, 0, buffer, options))],
      [`writev${how}`, into((target, id, buffer) => target.writev(id, whole, buffer, options))],
    ];
  }),
];

function into(write: (target: Target, id: RegionId, buffer: Buffer) => Promise<void>) {
  return async (target: Target, buffer: Buffer): Promise<RegionId> => {
    const id = await target.create(SIZE);
    await write(target, id, buffer);
    return id;
  };
}

/** A source that uses one buffer for all of its pieces. */
function* fromOneBuffer(whole: Uint8Array, pieceBytes: number): Generator<Uint8Array> {
  const buffer = Buffer.alloc(pieceBytes);
  for (let at = 0; at < whole.length; at += pieceBytes) {
    const piece = whole.subarray(at, at + pieceBytes);
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
    buffer.fill(0xee);
  }
}

export const bufferRules: Rules = (rule, { isThorough }) => {
  for (const [name, write] of WRITES) {
    rule(`uses the bytes of ${name} no more when it has resolved`, async ({ target }) => {
      const buffer = Buffer.from(pattern(SIZE));
      const id = await write(target, buffer);
      buffer.fill(0xee);
      const soon = await target.read(id, 0, SIZE);
      sameBytes(soon, pattern(SIZE), `the region, with its bytes changed by the caller after ${name}`);
      await aMoment();
      await target.persist(id);
      const late = await target.read(id, 0, SIZE);
      sameBytes(
        late,
        pattern(SIZE),
        `the region a while after its bytes were changed by the caller of ${name}`,
      );
    });

    rule(`leaves the bytes of ${name} as they are`, async ({ target }) => {
      const around = Buffer.alloc(SIZE + 20, 0xee);
      const buffer = around.subarray(10, 10 + SIZE);
      buffer.set(pattern(SIZE));
      const expected = Buffer.from(around);
      await write(target, buffer);
      sameBytes(around, expected, `the caller's memory after ${name}`);
      await aMoment();
      sameBytes(around, expected, `the caller's memory a while after ${name}`);
    });
  }

  for (const pieceBytes of [100, 4096, 150_000]) {
    rule(`is done with a piece of ${pieceBytes} bytes when it asks for the next`, async ({ target }) => {
      const whole = pattern(isThorough ? 600_001 : Math.min(600_001, 500 * pieceBytes + 1));
      const contents = (): RegionSource => ({ size: whole.length, source: fromOneBuffer(whole, pieceBytes) });
      const ids = await Promise.all([target.createAndWrite(contents()), target.createAndWrite(contents())]);
      for (const id of ids)
        sameBytes(await target.read(id, 0, whole.length), whole, 'a region whose source had one buffer');
    });
  }

  rule('leaves a buffer alone that it has filled', async ({ target }) => {
    const id = await target.createAndWrite(pattern(SIZE));
    const given = await target.read(id, 0, SIZE);
    const vectored = await target.readv(id, [{ offset: 0, size: SIZE }]);
    const filled = Buffer.alloc(SIZE);
    await target.readInto(id, 0, filled);
    const buffers = { read: given, readv: vectored, readInto: filled };
    for (const buffer of Object.values(buffers)) buffer.fill(0xee);
    // A target that kept a reference would show the change in the region, or overwrite it.
    sameBytes(
      await target.read(id, 0, SIZE),
      pattern(SIZE),
      'the region, with filled buffers changed by the caller',
    );
    await target.write(id, 0, pattern(SIZE, 2), { persist: true });
    sameBytes(await target.read(id, 0, SIZE), pattern(SIZE, 2), 'the region after a further write');
    await aMoment();
    const expected = Buffer.alloc(SIZE, 0xee);
    for (const [name, buffer] of Object.entries(buffers))
      sameBytes(buffer, expected, `the memory that ${name} had filled, and the caller had changed`);
  });
};
