/**
 * Migrations between two daemons as processes, each side of which, or the proxy between them, is killed at the steps: one more call ends
 * them, and nothing is lost. Of steps that come often a sample is taken.
 */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { failingSystem } from '../fixtures/failing-system.js';
import { needs } from '../fixtures/needs.js';
import { KilledMigrations } from './killed-migration.js';

const system = failingSystem();
let migrations: KilledMigrations | undefined;

const withCompiler = needs('a C compiler', system !== undefined);
beforeAll(async () => {
  if (system !== undefined) migrations = await KilledMigrations.open(system);
});
afterAll(async () => {
  if (system === undefined) return;
  await migrations?.close();
  system.dispose();
});

const SIDES = ['source', 'destination'] as const;

for (const step of ['begin', 'pieces', 'finish'])
  for (const [at, isPassed] of [
    ['request', false],
    ['request', true],
    ['answer', false],
  ] as const)
    withCompiler.it(
      `outlives that the kernel cuts all connections with the ${at} of ${step} ${isPassed ? 'on its way' : 'lost'}`,
      async () => {
        expect(await migrations?.round({ side: 'proxy', step, at, isPassed })).toBe(true);
      },
    );

for (const side of SIDES) {
  for (const step of ['begin', 'erased', 'pieces', 'finish'])
    for (const at of ['request', 'answer'] as const)
      for (const isPassed of [false, true])
        withCompiler.it(
          `outlives a kill of the ${side} with the ${at} of ${step} ${isPassed ? 'on its way' : 'lost'}`,
          async () => {
            expect(await migrations?.round({ side, step, at, isPassed })).toBe(true);
          },
        );
  // fsync, rename and unlink: what it remembers; fdatasync: its pools.
  for (const [call, stride] of [
    ['rename', 1],
    ['unlink', 1],
    ['fsync', 3],
    ['fdatasync', 15],
  ] as const)
    withCompiler.it(
      `outlives a kill of the ${side} instead of ${stride === 1 ? 'each' : `one in ${stride} of`} ${call}`,
      async () => {
        let nth = 1;
        while ((await migrations?.round({ side, call, nth })) === true) nth += stride;
      },
    );
}
