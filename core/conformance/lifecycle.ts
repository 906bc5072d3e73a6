/**
 * Rules of open and close: `closed -> opening -> open -> closing -> closed`. A closed target
 * refuses every call with TARGET_CLOSED. Both are idempotent, in any interleaving. Close refuses
 * new calls at once and waits for the work in flight.
 */
import { REGION_ID_BYTES } from '../contract/region-id.js';
import type { Target } from '../contract/target.js';
import {
  callsOn,
  counts,
  inFlight,
  inState,
  pattern,
  refusesAllCalls,
  rejects,
  sameBytes,
  waits,
} from './assertions.js';
import { holds, is, sameList } from './findings.js';
import type { Rules } from './rules.js';

/** Every call that names no region. */
function callsOnTarget(target: Target): [name: string, call: () => Promise<unknown>][] {
  return [
    ['create', () => target.create(8)],
    ['create of no bytes', () => target.create(0)],
    ['createAndWrite', () => target.createAndWrite(pattern(8))],
    ['createAndWrite of a source', () => target.createAndWrite({ size: 8, source: [pattern(8)] })],
    ['list', () => target.list()],
    ['stats', () => target.stats()],
  ];
}

export const lifecycleRules: Rules = (rule, { isRemote, capabilities }) => {
  rule('is closed before it is opened, and open afterwards', async (bench) => {
    const target = await bench.closed();
    inState(target, 'closed', 'before it is opened');
    await target.open();
    inState(target, 'open', 'after open');
    await target.close();
    inState(target, 'closed', 'after close');
  });

  rule('answers every call with TARGET_CLOSED before it is opened', async (bench) => {
    const id = await bench.target.create(64);
    const target = await bench.closed();
    for (const [name, call] of callsOnTarget(target)) await rejects(call(), 'TARGET_CLOSED', name);
    await refusesAllCalls(target, id, 'TARGET_CLOSED', 'an ID while closed');
  });

  rule('answers every call with TARGET_CLOSED after it was closed', async ({ target }) => {
    const id = await target.create(64);
    await target.close();
    for (const [name, call] of callsOnTarget(target)) await rejects(call(), 'TARGET_CLOSED', name);
    await refusesAllCalls(target, id, 'TARGET_CLOSED', 'an ID while closed');
  });

  rule('does nothing when it is opened again, or closed again', async ({ target }) => {
    const id = await target.createAndWrite(pattern(64));
    for (let count = 0; count < 3; count++) await target.open();
    inState(target, 'open', 'after further opens');
    sameBytes(await target.read(id, 0, 64), pattern(64), 'the region after further opens');
    for (let count = 0; count < 3; count++) await target.close();
    inState(target, 'closed', 'after close');
  });

  rule('closes without having been opened', async (bench) => {
    const target = await bench.closed();
    await target.close();
    inState(target, 'closed', 'after close');
    await target.open();
    await target.create(8);
  });

  rule('serves again after every reopening', async ({ target }) => {
    for (let round = 1; round <= 5; round++) {
      await target.close();
      await target.open();
      inState(target, 'open', `after reopening ${round}`);
      const id = await target.createAndWrite(pattern(64, round));
      sameBytes(await target.read(id, 0, 64), pattern(64, round), `a region after reopening ${round}`);
    }
  });

  rule('takes concurrent opens for one, and concurrent closes', async (bench) => {
    const target = await bench.closed();
    await Promise.all([target.open(), target.open(), target.open()]);
    inState(target, 'open', 'after concurrent opens');
    const id = await target.createAndWrite(pattern(8));
    sameBytes(await target.read(id, 0, 8), pattern(8), 'a region after concurrent opens');
    await Promise.all([target.close(), target.close(), target.close()]);
    inState(target, 'closed', 'after close');
  });

  rule('ends as the last of many opens and closes made at once says', async (bench) => {
    const target = await bench.closed();
    for (const isOpenFirst of [false, true]) {
      for (const steps of ['oc', 'co', 'oco', 'coc', 'ooccoo', 'ccoocc']) {
        await (isOpenFirst ? target.open() : target.close());
        await Promise.all(Array.from(steps, (step) => (step === 'o' ? target.open() : target.close())));
        const names = Array.from(steps, (step) => (step === 'o' ? 'open' : 'close')).join(', ');
        inState(target, steps.endsWith('o') ? 'open' : 'closed', `after ${names}`);
        if (steps.endsWith('c')) await target.open();
        const id = await target.createAndWrite(pattern(8));
        sameBytes(await target.read(id, 0, 8), pattern(8), `a region after ${names}`);
      }
    }
  });

  rule('serves nothing between an open and a close that are called at once', async ({ target }) => {
    const id = await target.create(64);
    const opened = inFlight(target.open());
    const closed = inFlight(target.close());
    await opened;
    const { state } = target;
    holds(state !== 'open', 'the state of the target when close was called', state, 'closing or closed');
    await rejects(target.stat(id), 'TARGET_CLOSED', 'stat');
    await closed;
    inState(target, 'closed', 'after close');
  });

  rule('refuses every call from the call of close on', async (bench) => {
    const { target } = bench;
    const id = await target.create(64);
    const { created, finish } = bench.beginCreate(target, 64, pattern(64));
    const closed = inFlight(target.close());
    inState(target, 'closing', 'after the call of close');
    for (const [name, call] of [...callsOnTarget(target), ...callsOn(target, id)]) {
      await rejects(call(), 'TARGET_CLOSED', `${name}, called after close`);
    }
    finish();
    await created;
    await closed;
  });

  rule('waits in close for a slow source, whose region is then made', async (bench) => {
    const { target } = bench;
    const { created, finish } = bench.beginCreate(target, 64, pattern(64));
    const closed = inFlight(target.close());
    await waits(closed, 'close', 'the createAndWrite in flight has ended');
    inState(target, 'closing', 'while close waits');
    await waits(created, 'createAndWrite', 'its source has ended');
    finish();
    const id = await created;
    await closed;
    inState(target, 'closed', 'after close');
    is(id.toBytes().length, REGION_ID_BYTES, 'the bytes of the ID of the new region');
  });

  rule('waits in close for a source that fails', async (bench) => {
    const { target } = bench;
    const { created, finish } = bench.beginCreate(target, 64, pattern(63));
    const closed = inFlight(target.close());
    await waits(closed, 'close', 'the createAndWrite in flight has ended');
    finish();
    await rejects(created, 'INVALID_ARGUMENT', 'createAndWrite');
    await closed;
  });

  rule('lets every call that was in flight at close end well', async ({ target }) => {
    const size = 300_000;
    const id = await target.createAndWrite(pattern(size));
    const other = await target.create(size);
    const read = inFlight(target.read(id, 0, size));
    const calls = inFlight(
      Promise.all([
        target.write(other, 0, pattern(size, 2)),
        target.write(other, 0, pattern(size, 2), { persist: true }),
        target.persist(id),
        target.create(8),
        target.createAndWrite(pattern(100)),
        target.stat(id),
        target.list(),
        target.stats(),
      ]),
    );
    const closed = inFlight(target.close());
    sameBytes(await read, pattern(size), 'a read in flight at close');
    await calls;
    await closed;
    inState(target, 'closed', 'after close');
  });

  if (!capabilities.persistent && !isRemote) {
    rule('has forgotten its regions when it is opened again, being volatile', async ({ target }) => {
      const ids = [await target.createAndWrite(pattern(64)), await target.create(0)];
      await target.close();
      await target.open();
      sameList((await target.list()).regions, [], 'the regions after a reopening');
      await counts(target, 0, 'after a reopening');
      // In the slots of the old ones.
      for (let count = 0; count < 4; count++) await target.create(64);
      for (const id of ids)
        await refusesAllCalls(target, id, 'REGION_NOT_FOUND', 'an ID of before the close');
    });
  }

  if (isRemote) {
    rule('answers destroy with NOT_SUPPORTED, and keeps everything', async ({ target }) => {
      const id = await target.createAndWrite(pattern(64));
      await rejects(target.destroy(), 'NOT_SUPPORTED', 'destroy');
      inState(target, 'open', 'after destroy was refused');
      sameBytes(await target.read(id, 0, 64), pattern(64), 'the region after destroy was refused');
    });
    return;
  }

  rule('is closed after destroy, whether it was open or not', async (bench) => {
    const id = await bench.target.create(64);
    for (const target of [bench.target, await bench.closed()]) {
      await target.destroy();
      inState(target, 'closed', 'after destroy');
      await refusesAllCalls(target, id, 'TARGET_CLOSED', 'an ID after destroy');
    }
  });

  rule('waits in destroy for the work in flight, and refuses calls from then on', async (bench) => {
    const { target } = bench;
    const { created, finish } = bench.beginCreate(target, 64, pattern(64));
    const destroyed = inFlight(target.destroy());
    await rejects(target.create(8), 'TARGET_CLOSED', 'create, called after destroy');
    await waits(destroyed, 'destroy', 'the createAndWrite in flight has ended');
    finish();
    await created;
    await destroyed;
    inState(target, 'closed', 'after destroy');
  });
};
