/**
 * Rules of `transact`, where a target is transactional: all changes or none, in their order, and
 * never some of them for who looks on. Elsewhere it is NOT_SUPPORTED.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Change } from '../contract/names.js';
import type { RegionId } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import {
  changesNothing,
  counts,
  failureOf,
  hasCode,
  inFlight,
  listedIds,
  pattern,
  refusesAllCalls,
  rejects,
  sameBytes,
  uses,
} from './assertions.js';
import type { ErrorCode } from '../base/errors.js';
import { BrokenRule, holds, is, sameItems, sameList } from './findings.js';
import { WRONG_NAMES } from './names.js';
import type { Rules } from './rules.js';

/** Asserts that a transaction is refused because of one of its changes, and changes nothing. */
async function refuses(
  target: Target,
  changes: readonly unknown[],
  code: ErrorCode,
  at: number,
  what: string,
): Promise<void> {
  await changesNothing(target, async () => {
    const failure = await failureOf(target.transact(changes as Change[]), code, what);
    hasCode(failure, code, what);
    const { details } = failure as { details?: { change?: unknown } };
    is(details?.change, at, `details.change of ${what}`);
  });
}

const put = (name: string, contents: Uint8Array): Change => ({ type: 'put', name, contents });
const expect = (name: string, id: RegionId | null): Change => ({ type: 'expect', name, id });

export const transactionRules: Rules = (rule, { capabilities, isBounded, maxTransactionBytes }) => {
  if (!capabilities.transactional) {
    rule('answers transact with NOT_SUPPORTED, and changes nothing', async ({ target }) => {
      const id = await target.createAndWrite(pattern(16));
      await changesNothing(target, async () => {
        const write: Change = { type: 'write', ref: id, offset: 0, bytes: pattern(8, 2) };
        await rejects(target.transact([write]), 'NOT_SUPPORTED', 'transact');
        await rejects(target.transact([]), 'NOT_SUPPORTED', 'transact of no changes');
      });
    });
    return;
  }

  rule('makes changes of every kind at once', async ({ target }) => {
    const [written, erased, renamed] = [
      await target.createAndWrite(pattern(100, 1), { name: 'written' }),
      await target.createAndWrite(pattern(100, 2), { name: 'erased' }),
      await target.createAndWrite(pattern(100, 3), { name: 'renamed' }),
    ];
    const replaced = await target.put('replaced', pattern(100, 4));
    const { ids } = await target.transact([
      { type: 'write', ref: written, offset: 10, bytes: pattern(20, 5) },
      put('replaced', pattern(300, 6)),
      { type: 'erase', ref: 'erased' },
      { type: 'rename', ref: renamed, to: 'other' },
      put('new', pattern(0)),
      expect('nobody', null),
    ]);
    is(ids.length, 6, 'the length of ids');
    for (const at of [0, 2, 3, 5]) is(ids[at], null, 'the ID of a change that makes no region');
    sameBytes(await target.read(written, 10, 20), pattern(20, 5), 'the bytes that were written');
    sameBytes(await target.read(written, 30, 70), pattern(100, 1).subarray(30), 'the bytes beside');
    is(String((await target.find('replaced')).id), String(ids[1]), 'the ID of a put');
    is(String((await target.find('new')).id), String(ids[4]), 'the ID of another put');
    sameBytes(await target.read('replaced', 0, 300), pattern(300, 6), 'the contents of a put');
    is(String((await target.find('other')).id), String(renamed), 'the region that was renamed');
    for (const id of [erased, replaced])
      await refusesAllCalls(target, id, 'REGION_NOT_FOUND', 'a region that is gone');
    for (const name of ['erased', 'renamed'])
      await rejects(target.find(name), 'REGION_NOT_FOUND', 'find of a name that is gone');
    const expected = [written, renamed, ids[1], ids[4]].map(String);
    sameItems(await listedIds(target), expected, 'the listed regions');
  });

  rule('makes changes in their order, each finding what those before it have made', async ({ target }) => {
    const id = await target.createAndWrite(pattern(10, 1), { name: 'a' });
    await target.transact([
      { type: 'write', ref: 'a', offset: 0, bytes: pattern(6, 2) },
      { type: 'write', ref: id, offset: 4, bytes: pattern(4, 3) },
      { type: 'rename', ref: 'a', to: 'b' },
      put('a', pattern(10, 4)),
      { type: 'write', ref: 'a', offset: 0, bytes: pattern(5, 5) },
      { type: 'write', ref: 'b', offset: 9, bytes: pattern(1, 6) },
      expect('b', id),
      put('c', pattern(3)),
      { type: 'rename', ref: 'c', to: 'd' },
      expect('c', null),
      put('e', pattern(3)),
      put('e', pattern(4)),
      put('f', pattern(3)),
      { type: 'erase', ref: 'f' },
    ]);
    const [old, made] = [pattern(10, 1), pattern(10, 4)];
    old.set(pattern(6, 2), 0);
    old.set(pattern(4, 3), 4);
    old.set(pattern(1, 6), 9);
    made.set(pattern(5, 5), 0);
    is(String((await target.find('b')).id), String(id), 'the region that was renamed');
    sameBytes(await target.read('b', 0, 10), old, 'its bytes');
    sameBytes(await target.read('a', 0, 10), made, 'the region that was put');
    is((await target.find('d')).size, 3, 'the size of a region that was put and renamed');
    is((await target.find('e')).size, 4, 'the size of a region that was put twice');
    for (const name of ['c', 'f']) await rejects(target.find(name), 'REGION_NOT_FOUND', `find of "${name}"`);
    await counts(target, 4, 'after the transaction');
  });

  rule('swaps two names', async ({ target }) => {
    const [one, other] = [await target.put('one', pattern(8, 1)), await target.put('other', pattern(8, 2))];
    await target.transact([
      { type: 'rename', ref: 'one', to: null },
      { type: 'rename', ref: 'other', to: 'one' },
      { type: 'rename', ref: one, to: 'other' },
    ]);
    is(String((await target.find('one')).id), String(other), 'the region of the first name');
    is(String((await target.find('other')).id), String(one), 'the region of the second name');
    await target.transact([{ type: 'rename', ref: 'one', to: 'other', replace: true }]);
    is(String((await target.find('other')).id), String(other), 'the region after a rename that replaces');
    await refusesAllCalls(target, one, 'REGION_NOT_FOUND', 'the region that was replaced');
  });

  rule('takes a transaction without changes for nothing', async ({ target }) => {
    await target.put('a', pattern(8));
    await changesNothing(target, async () => {
      sameList((await target.transact([])).ids, [], 'the IDs of no changes');
      await target.transact([expect('a', (await target.find('a')).id), expect('b', null)]);
    });
  });

  rule('refuses all changes if one cannot be made, and says which', async ({ target }) => {
    const id = await target.createAndWrite(pattern(16), { name: 'a' });
    const other = await target.createAndWrite(pattern(16, 2), { name: 'b' });
    const erased = await target.create(8);
    await target.erase(erased);
    const good: Change[] = [
      { type: 'write', ref: id, offset: 0, bytes: pattern(8, 9) },
      put('new', pattern(8)),
      { type: 'rename', ref: 'b', to: 'c' },
    ];
    const wrong: [Change, ErrorCode, string][] = [
      [
        { type: 'write', ref: erased, offset: 0, bytes: pattern(1) },
        'REGION_NOT_FOUND',
        'a write to an erased region',
      ],
      [
        { type: 'write', ref: 'b', offset: 0, bytes: pattern(1) },
        'REGION_NOT_FOUND',
        'a write to a name renamed before',
      ],
      [{ type: 'write', ref: id, offset: 10, bytes: pattern(7) }, 'OUT_OF_RANGE', 'a write out of range'],
      [
        { type: 'write', ref: 'new', offset: 8, bytes: pattern(1) },
        'OUT_OF_RANGE',
        'a write out of range of what was put',
      ],
      [{ type: 'erase', ref: 'nobody' }, 'REGION_NOT_FOUND', 'an erase of no region'],
      [{ type: 'rename', ref: 'a', to: 'c' }, 'NAME_TAKEN', 'a rename to a name taken before'],
      [{ type: 'rename', ref: erased, to: 'x' }, 'REGION_NOT_FOUND', 'a rename of an erased region'],
      [expect('a', other), 'CONDITION_FAILED', 'an expectation of another region'],
      [expect('a', null), 'CONDITION_FAILED', 'an expectation of no region'],
      [expect('nobody', id), 'CONDITION_FAILED', 'an expectation of a region under no name'],
      [expect('b', other), 'CONDITION_FAILED', 'an expectation that a change before has ended'],
    ];
    for (const [change, code, what] of wrong) {
      await refuses(target, [...good, change], code, good.length, what);
      await refuses(target, [...good, change, ...good], code, good.length, `${what} in the middle`);
    }
    const twice: Change[] = [
      { type: 'erase', ref: id },
      { type: 'erase', ref: id },
    ];
    await refuses(target, twice, 'REGION_NOT_FOUND', 1, 'a second erase of a region');
  });

  rule('refuses what is not a change with INVALID_ARGUMENT', async ({ target }) => {
    const id = await target.createAndWrite(pattern(16), { name: 'a' });
    const wrong: unknown[] = [
      ...[null, 5, 'erase', {}, { type: 'create', size: 5 }],
      { type: 'write', ref: id, offset: 0 },
      { type: 'write', ref: id, offset: -1, bytes: pattern(1) },
      { type: 'write', ref: id.toString(), offset: 0, bytes: pattern(1) },
      { type: 'put', name: 'b', contents: 'text' },
      { type: 'rename', ref: id },
      { type: 'expect', name: 'a' },
      { type: 'expect', name: 'a', id: id.toString() },
      ...WRONG_NAMES.map((name) => ({ type: 'put', name, contents: pattern(1) })),
      ...WRONG_NAMES.map((to) => ({ type: 'rename', ref: id, to })),
    ];
    for (const change of wrong)
      await refuses(target, [put('b', pattern(1)), change], 'INVALID_ARGUMENT', 1, 'what is not a change');
    await changesNothing(target, async () => {
      for (const changes of [null, 5, {}, 'erase'])
        await rejects(
          target.transact(changes as never),
          'INVALID_ARGUMENT',
          'transact of what is not a list',
        );
    });
  });

  rule('refuses more bytes than a transaction may hold with TRANSACTION_TOO_LARGE', async ({ target }) => {
    const id = await target.create(64);
    const most = maxTransactionBytes;
    await changesNothing(target, async () => {
      const changes = [
        { type: 'write', ref: id, offset: 0, bytes: pattern(64) } as const,
        put('large', new Uint8Array(most)),
      ];
      const failure = await failureOf(
        target.transact(changes),
        'TRANSACTION_TOO_LARGE',
        'a transaction too large',
      );
      hasCode(failure, 'TRANSACTION_TOO_LARGE', 'a transaction too large');
      const { details } = failure as { details?: { limit?: unknown } };
      is(details?.limit, most, 'details.limit');
    });
    // Names and records may count as well.
    await target.transact([put('large', new Uint8Array(Math.floor(most * 0.9)))]);
  });

  rule('never shows some of the changes without the others', async ({ target }) => {
    const [one, other] = [
      await target.create(64, { name: 'one' }),
      await target.create(64, { name: 'other' }),
    ];
    let isOver = false;
    let seen = 0;
    const reader = async (): Promise<void> => {
      while (!isOver) {
        // Others have their turn, whatever the calls wait for.
        await turn();
        // Between both reads transactions may be made, so what is read later is never older.
        const first = (await target.read(one, 0, 1))[0] as number;
        const second = (await target.read(other, 0, 1))[0] as number;
        if (second < first)
          throw new BrokenRule('a region beside transactions', `${second} after ${first}`, 'nothing older');
        const newer = (await target.read('other', 0, 1))[0] as number;
        const last = (await target.read('one', 0, 1))[0] as number;
        if (last < newer)
          throw new BrokenRule('a region beside transactions', `${last} after ${newer}`, 'nothing older');
        seen++;
      }
    };
    const readers = [inFlight(reader()), inFlight(reader())];
    for (let round = 1; round <= 60; round++) {
      const bytes = new Uint8Array(64).fill(round);
      await target.transact([
        { type: 'write', ref: one, offset: 0, bytes },
        { type: 'write', ref: other, offset: 0, bytes },
      ]);
      await turn();
    }
    isOver = true;
    await Promise.all(readers);
    holds(seen > 0, 'the reads beside transactions', seen, 'some');
  });

  rule('makes transactions at once one after another', async ({ target }) => {
    await target.put('counter', Uint8Array.of(0));
    const increment = async (): Promise<void> => {
      for (;;) {
        const { id } = await target.find('counter');
        const [count] = await target.read(id, 0, 1).catch((error: unknown) => {
          hasCode(error, 'REGION_NOT_FOUND', 'a read of a region replaced meanwhile');
          return [undefined];
        });
        if (count === undefined) continue;
        const changes = [expect('counter', id), put('counter', Uint8Array.of(count + 1))];
        const error = await target.transact(changes).then(
          () => undefined,
          (failure: unknown) => failure,
        );
        if (error === undefined) return;
        hasCode(error, 'CONDITION_FAILED', 'a transaction that came too late');
      }
    };
    await Promise.all(Array.from({ length: 12 }, increment));
    is((await target.read('counter', 0, 1))[0], 12, 'the counter after 12 increments at once');
    await counts(target, 1, 'in the end');
  });

  rule('does not mind other calls on the same regions and names at once', async ({ target }) => {
    const ids = await Promise.all(
      Array.from({ length: 4 }, (_, at) =>
        target.createAndWrite(pattern(50_000, at), { name: `name ${at}` }),
      ),
    );
    const outcomes = await Promise.allSettled([
      ...ids.map((id) => target.read(id, 0, 50_000)),
      target.transact(ids.map((ref) => ({ type: 'write', ref, offset: 0, bytes: pattern(1000, 9) }))),
      target.put('name 0', pattern(10)),
      target.erase(ids[1] as RegionId),
      target.rename('name 2', 'moved'),
      target.transact([{ type: 'erase', ref: 'name 3' }]),
      target.transact([put('name 1', pattern(20))]),
    ]);
    for (const outcome of outcomes)
      if (outcome.status === 'rejected')
        hasCode(outcome.reason, 'REGION_NOT_FOUND', 'a call that came too late');
    const { names } = await target.names();
    for (const { name, id, size } of names) {
      is(String((await target.find(name)).id), String(id), 'the region of a name');
      is((await target.read(name, 0, size)).length, size, 'its length');
    }
    for (const id of ids.slice(0, 2))
      await refusesAllCalls(target, id, 'REGION_NOT_FOUND', 'a region that is gone');
  });

  rule('gives back the space of puts that are refused', async ({ target }) => {
    await target.put('a', pattern(10));
    await target.transact([put('b', pattern(10))]);
    const { usedBytes } = await target.stats();
    for (let round = 0; round < 5; round++) {
      const changes = [put('c', pattern(100_000)), expect('a', null)];
      await rejects(target.transact(changes), 'CONDITION_FAILED', 'a transaction');
    }
    await uses(target, usedBytes, 'after transactions that were refused');
  });

  if (isBounded)
    rule('changes nothing where the contents do not fit', async (bench) => {
      const target = await bench.bounded(400_000);
      await target.put('a', pattern(50_000, 1));
      await target.transact([put('b', pattern(10))]);
      // So little is left that two contents that do not fit together fit into a transaction.
      const free = async (): Promise<number> => (await target.stats()).largestFreeBytes ?? 0;
      for (let left = await free(); left > maxTransactionBytes / 4; left = await free())
        await target.create(left - Math.floor(maxTransactionBytes / 8));
      const size = Math.floor((await free()) * 0.6);
      await refuses(
        target,
        [{ type: 'erase', ref: 'b' }, put('c', new Uint8Array(size)), put('d', new Uint8Array(size))],
        'OUT_OF_SPACE',
        2,
        'a transaction whose contents do not fit',
      );
    });
};
