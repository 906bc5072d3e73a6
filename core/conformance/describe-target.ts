/**
 * The suite: every rule of the target contract as a test of its own, grouped by what it is about.
 *
 * A test fails with the rule that is broken, what was looked at, what was found and what was expected in its message, and with the
 * error behind it as `cause`. Rules that a target's capabilities or its factory rule out are not defined at all.
 */
import type { Capabilities } from '../contract/target.js';
import { Bench } from './bench.js';
import { boundsRules } from './bounds.js';
import { bufferRules } from './buffers.js';
import { concurrencyRules } from './concurrency.js';
import { crashRules } from './crash.js';
import { createAndWriteRules } from './create-and-write.js';
import { createRules } from './create.js';
import { durabilityRules } from './durability.js';
import { eraseRules } from './erase.js';
import { type Setting, settingOf, type TargetFactory, type TestRunner } from './factory.js';
import { findingOf } from './findings.js';
import { idRules } from './ids.js';
import { importRules } from './importing.js';
import { LARGE_REGION_BYTES, largeRules } from './large.js';
import { lifecycleRules } from './lifecycle.js';
import { listRules } from './list.js';
import { mappingRules } from './mapping.js';
import { persistenceRules } from './persistence.js';
import { readRules } from './read.js';
import type { Rules } from './rules.js';
import { spaceRules } from './space.js';
import { statsRules } from './stats.js';
import { vectoredRules } from './vectored.js';
import { writeRules } from './write.js';

const SUBJECTS: readonly (readonly [string, Rules])[] = [
  ['create', createRules],
  ['createAndWrite', createAndWriteRules],
  ['read', readRules],
  ['write and persist', writeRules],
  ['readv and writev', vectoredRules],
  ['bounds', boundsRules],
  ['buffers', bufferRules],
  ['region IDs', idRules],
  ['erase', eraseRules],
  ['list', listRules],
  ['stats', statsRules],
  ['space', spaceRules],
  ['lifecycle', lifecycleRules],
  ['concurrency', concurrencyRules],
  ['large regions', largeRules],
  ['mapping', mappingRules],
  ['persistence', persistenceRules],
  ['import', importRules],
  ['crashes', crashRules],
  ['durability', durabilityRules],
];

/**
 * Defines the tests of the target contract with the runner's own functions.
 * @param runner  `describe`, `it`, `beforeEach` and `afterEach` of jest, vitest or node:test
 * @param factory makes the targets to test
 * @param capabilities what the targets claim to offer; it decides which further rules hold
 */
export function describeTarget(runner: TestRunner, factory: TargetFactory, capabilities: Capabilities): void {
  const setting = settingOf(factory, capabilities);
  runner.describe('target contract', () => {
    for (const [subject, rules] of SUBJECTS) describeSubject(runner, subject, rules, setting);
    const untested = untestedBy(setting);
    if (untested.length === 0) return;
    // By name: some runners know it as a property of the function only.
    runner.describe('left out', () => {
      for (const what of untested) runner.it.skip?.(what, () => Promise.resolve());
    });
  });
}

/** What nothing is tested of because of the factory, so that nobody trusts in what was not looked at. */
function untestedBy({ factory, capabilities, isRemote, isBounded, maxRegionBytes }: Setting): string[] {
  const isRecovered = capabilities.persistent && !isRemote;
  return [
    ...(isBounded ? [] : ['what happens when space runs out: the factory has no createBounded']),
    ...(maxRegionBytes < LARGE_REGION_BYTES
      ? [`regions of more than 4 GiB: maxRegionBytes of the factory is ${maxRegionBytes}`]
      : []),
    ...(capabilities.importable && factory.createImporting === undefined
      ? ['taking regions in under IDs of elsewhere: the factory has no createImporting']
      : []),
    ...(isRecovered && factory.reopen === undefined
      ? ['recovery by another process, and locks: the factory has no reopen']
      : []),
    ...(isRecovered && factory.crash === undefined ? ['crashes: the factory has no crash'] : []),
    ...(isRecovered && factory.syncsByNode !== true
      ? ['whether fsync is waited for: the factory does not say syncsByNode']
      : []),
  ];
}

function describeSubject(runner: TestRunner, subject: string, rules: Rules, setting: Setting): void {
  const defined: [string, (bench: Bench) => Promise<void>][] = [];
  rules((title, check) => defined.push([title, check]), setting);
  // Some runners take a group without tests for a mistake.
  if (defined.length === 0) return;
  runner.describe(subject, () => {
    let bench: Bench | undefined;
    runner.beforeEach(async () => {
      bench = await step('making and opening a target', () => Bench.setUp(setting.factory));
    });
    runner.afterEach(async () => {
      const used = bench;
      bench = undefined;
      await step('closing the targets after the test', async () => used?.tearDown());
    });
    for (const [title, check] of defined) {
      runner.it(title, async () => {
        if (bench === undefined) throw new Error('the test runner did not run beforeEach');
        try {
          await check(bench);
        } catch (cause) {
          throw new Error(`the contract is broken: ${subject}: a target ${title}\n${findingOf(cause)}`, {
            cause,
          });
        }
      });
    }
  });
}

/** Says of a step around a rule what failed there. */
async function step<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw new Error(`the contract is broken: ${findingOf(cause, what)}`, { cause });
  }
}
