/**
 * Rules of waiting for the kernel, for persistent targets whose factory says that Node's fs makes
 * their bytes durable: a call that resolves as durable has requested an fsync or fdatasync, and
 * waited for it. (Only a power failure would show whether it was of the right file.)
 */
import type { Target } from '../contract/target.js';
import { inFlight, pattern, waits } from './assertions.js';
import { holds } from './findings.js';
import type { Rules } from './rules.js';
import { SyncWatch } from './sync-watch.js';

const SIZE = 5000;

/** Each begins with its preparation, and returns the call that must wait. */
const DURABLE: readonly [name: string, prepare: (target: Target) => Promise<() => Promise<unknown>>][] = [
  ['create', (target) => Promise.resolve(() => target.create(SIZE))],
  [
    'createAndWrite with persist',
    (target) => Promise.resolve(() => target.createAndWrite(pattern(SIZE), { persist: true })),
  ],
  [
    'write with persist',
    async (target) => {
      const id = await target.create(SIZE);
      return () => target.write(id, 100, pattern(64), { persist: true });
    },
  ],
  [
    'writev with persist',
    async (target) => {
      const id = await target.create(SIZE);
      return () => target.writev(id, [{ offset: 100, size: 64 }], pattern(64), { persist: true });
    },
  ],
  [
    'persist',
    async (target) => {
      const id = await target.create(SIZE);
      await target.write(id, 100, pattern(64));
      return () => target.persist(id);
    },
  ],
  [
    'persist of ranges',
    async (target) => {
      const id = await target.create(SIZE);
      await target.write(id, 100, pattern(64));
      return () => target.persist(id, [{ offset: 100, size: 64 }]);
    },
  ],
  [
    'erase',
    async (target) => {
      const id = await target.create(SIZE);
      return () => target.erase(id);
    },
  ],
];

export const durabilityRules: Rules = (rule, { capabilities, factory, isRemote }) => {
  if (!capabilities.persistent || isRemote || factory.syncsByNode !== true) return;

  for (const [name, prepare] of DURABLE) {
    rule(`resolves ${name} only when the kernel has stored it`, async ({ target }) => {
      const call = await prepare(target);
      const watch = await SyncWatch.begin();
      try {
        const done = inFlight(call());
        const hasAsked = await Promise.race([watch.asked.then(() => true), done.then(() => false)]);
        const outcome = hasAsked ? 'one' : `that it resolved without one`;
        holds(hasAsked, `${name}, which asks for an fsync or fdatasync`, outcome, 'one');
        await waits(done, name, 'the fsync that it asked for has ended');
        watch.release();
        await done;
      } finally {
        watch.end();
      }
    });
  }
};
