/**
 * The suite: every rule of the target contract as a separate test, grouped by subject.
 *
 * The message of a failed test contains the broken rule, what was checked, what was found and what
 * was expected, and the original error as `cause`. Rules that do not apply to the target's
 * capabilities or its factory are not defined.
 */
import type { Capabilities } from '../contract/target.js';
import { Bench } from './bench.js';
import { boundsRules } from './bounds.js';
import { bufferRules } from './buffers.js';
import { CallWatch } from './call-watch.js';
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
import { mapNamesRules } from './map-names.js';
import { mappingRules } from './mapping.js';
import { namedRecoveryRules } from './named-recovery.js';
import { nameRules } from './names.js';
import { persistenceRules } from './persistence.js';
import { putRules } from './put.js';
import { readRules } from './read.js';
import type { Rules } from './rules.js';
import { spaceRules } from './space.js';
import { statsRules } from './stats.js';
import { transactionRules } from './transactions.js';
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
  ['names', nameRules],
  ['put', putRules],
  ['transactions', transactionRules],
  ['mapNames', mapNamesRules],
  ['persistence', persistenceRules],
  ['names in recovery', namedRecoveryRules],
  ['import', importRules],
  ['crashes', crashRules],
  ['durability', durabilityRules],
];

/**
 * Defines the tests of the target contract with the functions of a test runner.
 * @param runner  `describe`, `it`, `beforeEach` and `afterEach` of jest, vitest or node:test
 * @param factory creates the targets to test
 * @param capabilities what the targets claim to offer; determines which further rules apply
 */
export function describeTarget(runner: TestRunner, factory: TargetFactory, capabilities: Capabilities): void {
  const setting = settingOf(factory, capabilities);
  runner.describe('target contract', () => {
    for (const [subject, rules] of SUBJECTS) describeSubject(runner, subject, rules, setting);
    const untested = untestedBy(setting);
    if (untested.length === 0) return;
    // By its name: some runners have it only as a property of the function.
    runner.describe('left out', () => {
      for (const what of untested) runner.it.skip?.(what, () => Promise.resolve());
    });
  });
}

/** What is not tested because of the factory, so that nobody relies on it. */
function untestedBy({ factory, capabilities, isRemote, isBounded, maxRegionBytes }: Setting): string[] {
  const isRecovered = capabilities.persistent && !isRemote;
  return [
    ...(isBounded ? [] : ['what happens when space runs out: the factory has no createBounded']),
    ...(maxRegionBytes < LARGE_REGION_BYTES
      ? [`regions of more than 4 GiB: maxRegionBytes of the factory is ${maxRegionBytes}`]
      : []),
    ...(capabilities.importable && factory.createImporting === undefined
      ? ['imports of regions under the IDs of another target: the factory has no createImporting']
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
  // Some runners treat a group without tests as a mistake.
  if (defined.length === 0) return;
  runner.describe(subject, () => {
    let test: Test | undefined;
    runner.beforeEach(async () => {
      const calls = new CallWatch(setting.patienceMs);
      const making = Bench.setUp(setting.factory, calls);
      test = { calls, bench: await step('making and opening a target', () => calls.until(making)) };
    });
    runner.afterEach(async () => {
      const ended = test;
      test = undefined;
      if (ended === undefined) return;
      const { calls, bench, rule } = ended;
      // The runner has not waited for the end of the rule.
      const late = rule === undefined ? undefined : brokenContract(subject, rule, calls.giveUp());
      const closing = bench.tearDown();
      if (!calls.isHanging) return step('closing the targets after the test', () => calls.until(closing));
      // What the calls wait for may never come, and closing waits for the calls.
      closing.catch(() => undefined);
      if (late !== undefined) throw late;
    });
    for (const [title, check] of defined) {
      runner.it(title, async () => {
        const running = test;
        if (running === undefined) throw new Error('the test runner did not run beforeEach');
        running.rule = title;
        try {
          await running.calls.until(check(running.bench));
        } catch (cause) {
          throw brokenContract(subject, title, cause);
        } finally {
          running.rule = undefined;
        }
      });
    }
  });
}

/** A rule in progress, with its tools. */
interface Test {
  readonly calls: CallWatch;
  readonly bench: Bench;
  /** Its title until it has ended. */
  rule?: string | undefined;
}

function brokenContract(subject: string, title: string, cause: unknown): Error {
  return new Error(`the contract is broken: ${subject}: a target ${title}\n${findingOf(cause)}`, { cause });
}

/** Adds the name of a step to its failure. */
async function step<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw new Error(`the contract is broken: ${findingOf(cause, what)}`, { cause });
  }
}
