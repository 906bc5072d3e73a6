/**
 * Rules of `mapNames`, where a target has names and maps: each region where it lies, in the order
 * of names, and released when the loop goes on, ends or is left. Elsewhere it is NOT_SUPPORTED.
 */
import type { MapNamesOptions } from '../contract/names.js';
import type { Target } from '../contract/target.js';
import {
  aMoment,
  eventually,
  inFlight,
  inState,
  pattern,
  rejects,
  sameBytes,
  uses,
  waits,
} from './assertions.js';
import { is, sameList } from './findings.js';
import type { Rules } from './rules.js';

async function pairsOf(target: Target, options?: MapNamesOptions): Promise<[string, string][]> {
  const pairs: [string, string][] = [];
  for await (const { name, views } of target.mapNames(options))
    pairs.push([name, Buffer.concat(views).toString('latin1')]);
  return pairs;
}

export const mapNamesRules: Rules = (rule, { capabilities, patienceMs }) => {
  if (!capabilities.named) return;
  if (!capabilities.mappable) {
    rule('answers mapNames with NOT_SUPPORTED', async ({ target }) => {
      await target.put('a', pattern(8));
      const next = target.mapNames()[Symbol.asyncIterator]().next();
      await rejects(Promise.resolve(next), 'NOT_SUPPORTED', 'the first step of mapNames');
    });
    return;
  }

  rule('gives every named region where it lies, in the order of names', async ({ target }) => {
    const names = Array.from(
      { length: 30 },
      (_, at) => `${at % 2 === 0 ? 'even' : 'odd'}/${at + 10}`,
    ).toSorted();
    await target.createAndWrite(pattern(10));
    await Promise.all(names.map((name, at) => target.put(name, pattern(at * 7, at))));
    const expected = names.map((name, at) => [name, Buffer.from(pattern(at * 7, at)).toString('latin1')]);
    sameList(await pairsOf(target), expected, 'all pairs');
    const odd = expected.filter(([name]) => name?.startsWith('odd/'));
    sameList(await pairsOf(target, { prefix: 'odd/' }), odd, 'the pairs of a prefix');
    sameList(await pairsOf(target, { prefix: 'none' }), [], 'the pairs of a prefix that no name has');
    await target.put('even/10', pattern(64, 1));
    for await (const { name, id, views } of target.mapNames({ prefix: 'even/10' })) {
      is(String((await target.find(name)).id), String(id), 'the ID beside a name');
      await target.write(name, 0, pattern(64, 2));
      sameBytes(Buffer.concat(views), pattern(64, 2), 'the view after a write');
    }
  });

  rule('releases each region when the loop goes on, ends, is left or fails', async (bench) => {
    const { target } = bench;
    await target.put('warm', pattern(10_000));
    await target.erase('warm');
    const { usedBytes } = await target.stats();
    const fill = async (): Promise<void> => {
      for (const name of ['a', 'b', 'c']) await target.put(name, pattern(10_000));
    };
    const eraseAll = async (): Promise<void> => {
      for (const { name } of (await target.names()).names) await target.erase(name);
      await eventually(() => uses(target, usedBytes, 'after the loop and an erase of all'), patienceMs);
    };
    await fill();
    for await (const { name } of target.mapNames()) await target.erase(name);
    await eraseAll();
    await fill();
    for await (const { name } of target.mapNames()) if (name === 'b') break;
    await eraseAll();
    await fill();
    const failing = async (): Promise<void> => {
      for await (const { name } of target.mapNames()) if (name === 'b') throw new RangeError(name);
    };
    await failing().catch(() => undefined);
    await eraseAll();
  });

  rule('keeps the bytes of a region that is replaced while the loop is at it', async ({ target }) => {
    await target.put('a', pattern(5000, 1));
    await target.put('b', pattern(5000, 2));
    const seen: string[] = [];
    for await (const { name, views } of target.mapNames()) {
      const before = Buffer.concat(views);
      await target.put(name, pattern(5000, 3));
      sameBytes(Buffer.concat(views), before, 'the view of a region that was replaced');
      seen.push(name);
    }
    sameList(seen, ['a', 'b'], 'the names that the loop was at');
  });

  rule('passes over names that go meanwhile', async ({ target }) => {
    for (const name of ['a', 'b', 'c', 'd']) await target.put(name, pattern(10));
    const seen: string[] = [];
    for await (const { name } of target.mapNames()) {
      seen.push(name);
      if (name !== 'a') continue;
      await target.erase('b');
      await target.rename('c', 'A');
    }
    sameList(seen, ['a', 'd'], 'the names that the loop was at');
  });

  rule('has close wait until the loop has let its region go', async ({ target }) => {
    for (const name of ['a', 'b']) await target.put(name, pattern(10));
    const steps = target.mapNames()[Symbol.asyncIterator]();
    const first = await steps.next();
    is(first.done, false, 'done of the first step');
    const closed = inFlight(target.close());
    await waits(closed, 'close', 'the region is let go');
    await steps.return?.();
    await closed;
    inState(target, 'closed', 'after close');
    await aMoment();
    await rejects(
      Promise.resolve(target.mapNames()[Symbol.asyncIterator]().next()),
      'TARGET_CLOSED',
      'mapNames after close',
    );
  });

  rule('rejects options that are wrong with INVALID_ARGUMENT', async ({ target }) => {
    for (const options of [null, 5, { prefix: 5 }, { prefix: '\ud800' }]) {
      const steps = target.mapNames(options as MapNamesOptions);
      const next = steps[Symbol.asyncIterator]().next();
      await rejects(Promise.resolve(next), 'INVALID_ARGUMENT', `mapNames(${JSON.stringify(options)})`);
    }
  });
};
