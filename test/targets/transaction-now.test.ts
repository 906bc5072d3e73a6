/** Transactions in one step: they do what `transact` does, and leave to it what would have to wait. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MemoryTarget } from '../../backends/memory/memory-target.js';
import { systemClock } from '../../core/base/clock.js';
import type { Change, RegionId } from '../../core/index.js';
import { LogKeeper } from './scripted-target.js';

const A = Buffer.from('a');
const B = Buffer.from('bb');

/** The hooks, which a test may make slow. */
interface Hooks {
  allocate: (size: number, nameBytes?: number) => unknown;
  commit: (transaction: unknown) => unknown;
}

async function openTarget(maxBytes?: number): Promise<MemoryTarget> {
  const target = new MemoryTarget(maxBytes === undefined ? {} : { max_bytes: maxBytes }, {
    logger: new LogKeeper(),
    clock: systemClock,
  });
  await target.open();
  return target;
}

const hooksOf = (target: MemoryTarget): Hooks => target as unknown as Hooks;

/** Which contents the names have, how many regions there are, and their bytes. */
async function stateOf(target: MemoryTarget): Promise<unknown> {
  const { names } = await target.names();
  const contents: Record<string, string> = {};
  for (const { name, size } of names)
    contents[name] = Buffer.from(await target.read(name, 0, size)).toString();
  const { regions, usedBytes } = await target.stats();
  return { contents, regions, usedBytes };
}

/** What became of a call: whose IDs it gave, or the code of its error. */
async function outcomeOf(call: () => unknown): Promise<unknown> {
  try {
    const { ids } = (await call()) as { ids: (RegionId | null)[] };
    return ids.map((id) => id !== null);
  } catch (error) {
    return (error as { code?: string }).code ?? error;
  }
}

describe('a transaction in one step', () => {
  const name = fc.constantFrom('a', 'b', 'c');
  const contents = fc.constantFrom(A, B, Buffer.alloc(0));
  const change: fc.Arbitrary<Change> = fc.oneof(
    fc.record({ type: fc.constant('put' as const), name, contents }),
    fc.record({ type: fc.constant('erase' as const), ref: name }),
    fc.record({
      type: fc.constant('rename' as const),
      ref: name,
      to: fc.option(name),
      replace: fc.boolean(),
    }),
    fc.record({ type: fc.constant('expect' as const), name, id: fc.constant(null) }),
  );

  test('does what the ordinary one does, with and without hooks that wait', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(change, { maxLength: 4 }), { maxLength: 5 }),
        fc.boolean(),
        fc.constantFrom(undefined, 4),
        async (transactions, isSlow, maxBytes) => {
          const one = await openTarget(maxBytes);
          const other = await openTarget(maxBytes);
          if (isSlow) {
            const { allocate, commit } = hooksOf(one);
            let calls = 0;
            hooksOf(one).allocate = (...given) => {
              const made = allocate.apply(one, given);
              return calls++ % 2 === 0 ? made : Promise.resolve(made);
            };
            hooksOf(one).commit = (transaction) => Promise.resolve(commit.call(one, transaction));
          }
          for (const changes of transactions) {
            expect(await outcomeOf(() => one.transactNow(changes))).toEqual(
              await outcomeOf(() => other.transact(changes)),
            );
            expect(await stateOf(one)).toEqual(await stateOf(other));
          }
          await one.close();
          await other.close();
        },
      ),
      { numRuns: 200 },
    );
  });

  test('has ended when it returns', async () => {
    const target = await openTarget();
    const made = target.transactNow([
      { type: 'put', name: 'a', contents: A },
      { type: 'put', name: 'b', contents: B },
    ]);
    expect(made).not.toBeInstanceOf(Promise);
    expect(target.findNow('a')).toMatchObject({ size: 1 });
    expect(target.findNow('b')).toMatchObject({ size: 2 });
  });

  test('is not begun while another transaction or a change of one of its names is in flight', async () => {
    const target = await openTarget();
    const other = target.transact([{ type: 'put', name: 'b', contents: B }]);
    expect(target.transactNow([{ type: 'put', name: 'a', contents: A }])).toBeUndefined();
    await other;
    const before = hooksOf(target).commit;
    let goOn = (): void => undefined;
    hooksOf(target).commit = async (transaction) => {
      await new Promise<void>((resolve) => (goOn = resolve));
      return before.call(target, transaction);
    };
    const renamed = target.transactNow([{ type: 'rename', ref: 'b', to: 'a', replace: false }]);
    expect(renamed).toBeInstanceOf(Promise);
    expect(target.transactNow([{ type: 'put', name: 'c', contents: A }])).toBeUndefined();
    expect(target.putNow('a', A)).toBeUndefined();
    goOn();
    await renamed;
    expect(target.findNow('a')).toMatchObject({ size: 2 });
  });

  test('needs the bytes only until it returns', async () => {
    const target = await openTarget();
    const { allocate } = hooksOf(target);
    hooksOf(target).allocate = (...given) => Promise.resolve(allocate.apply(target, given));
    const bytes = Buffer.from('ab');
    const made = target.transactNow([
      { type: 'put', name: 'a', contents: bytes.subarray(0, 1) },
      { type: 'put', name: 'b', contents: bytes.subarray(1) },
    ]);
    bytes.fill('-');
    await made;
    expect(Buffer.from(await target.read('a', 0, 1)).toString()).toBe('a');
    expect(Buffer.from(await target.read('b', 0, 1)).toString()).toBe('b');
  });

  test('and the ordinary one leave the bytes as they are', async () => {
    const target = await openTarget();
    const bytes = Buffer.from('ab');
    await target.transact([
      { type: 'put', name: 'a', contents: bytes },
      { type: 'write', ref: 'a', offset: 1, bytes: A },
    ]);
    expect(bytes.toString()).toBe('ab');
    expect(Buffer.from(await target.read('a', 0, 2)).toString()).toBe('aa');
  });

  test('leaves writes in place and many bytes to the ordinary one', async () => {
    const target = await openTarget();
    const id = await target.put('a', A);
    expect(target.transactNow([{ type: 'write', ref: id, offset: 0, bytes: B.subarray(1) }])).toBeUndefined();
    const much = Buffer.alloc(2 ** 16 + 1);
    expect(target.transactNow([{ type: 'put', name: 'a', contents: much }])).toBeUndefined();
    expect(target.findNow('a')).toMatchObject({ size: 1 });
  });

  test('is not begun while changes are held', async () => {
    const target = await openTarget();
    const watch = target.watchChanges({ wrote: () => undefined, changed: () => undefined });
    await watch.hold(1000);
    expect(target.transactNow([{ type: 'put', name: 'a', contents: A }])).toBeUndefined();
    watch.end();
    expect(target.transactNow([{ type: 'put', name: 'a', contents: A }])).toBeDefined();
  });
});
