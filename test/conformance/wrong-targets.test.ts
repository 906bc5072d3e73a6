/**
 * The conformance suite can fail: each of these targets is wrong in one point, and the rule that it
 * breaks is reported. And it does not fail without cause: right targets pass, whether their hooks
 * are synchronous or slow.
 */
import { describe, expect, test } from '@jest/globals';
import { MEMORY_CAPABILITIES, MemoryTarget } from '../../backends/memory/memory-target.js';
import { createLogger } from '../../core/base/logging.js';
import { describeTarget, type TargetFactory, type TestRunner } from '../../core/conformance/index.js';
import type { Capabilities, Target } from '../../core/index.js';
import { isThorough } from '../fixtures/thoroughness.js';
import { Arena, ARENA_CAPABILITIES, arenaSpaceOf, ArenaTarget } from '../targets/arena-target.js';
import { type Results, type RunOptions, runTests, titlesOf } from './collecting-runner.js';
import { Delegate } from './delegate.js';
import { DISTANT_CAPABILITIES, DistantTarget } from './distant-target.js';
import { expectInForm } from './message-form.js';
import * as backends from './wrong-backends.js';
import * as buffers from './wrong-buffer-users.js';
import * as delegates from './wrong-delegates.js';
import * as naming from './wrong-names.js';

const logger = createLogger({ level: 'off', format: 'text' });
const context = { logger, clock: { now: () => Date.now() } };

type MemoryClass = new (...given: ConstructorParameters<typeof MemoryTarget>) => MemoryTarget;
type ArenaClass = new (...given: ConstructorParameters<typeof ArenaTarget>) => ArenaTarget;

function runSuite(
  factory: TargetFactory,
  capabilities: Capabilities,
  options: RunOptions = {},
): Promise<Results> {
  return runTests((runner: TestRunner) => describeTarget(runner, factory, capabilities), options);
}

/** Memory targets, each seen through a wrapper. */
function memoryFactory(wrap: (target: Target) => Target, Class: MemoryClass = MemoryTarget): TargetFactory {
  return {
    create: () => wrap(new Class({}, context)),
    createBounded: (max_bytes) => wrap(new Class({ max_bytes }, context)),
    createImporting: (poolId) => wrap(new Class({}, { ...context, poolId })),
  };
}

function arenaFactory(Class: ArenaClass): TargetFactory {
  return {
    create: () => new Class(new Arena(16 * 2 ** 20), logger),
    createBounded: (capacityBytes) => new Class(new Arena(capacityBytes), logger),
    reopen: (target) => new Class((target as ArenaTarget).arena, logger),
    crash: (target) => new Class((target as ArenaTarget).killed(), logger),
    spaceOf: arenaSpaceOf,
    maxRegionBytes: 16 * 2 ** 20,
  };
}

/** Memory targets behind what stands for a network. */
function distantFactory(): TargetFactory {
  const connect = async (config: { max_bytes?: number }): Promise<Target> => {
    const server = new MemoryTarget(config, context);
    await server.open();
    return new DistantTarget(server, logger);
  };
  return {
    create: () => connect({}),
    createBounded: (max_bytes) => connect({ max_bytes }),
    dispose: (target) => (target as DistantTarget).server.close(),
    isRemote: true,
  };
}

/** Asserts that the suite reports a rule as broken. */
async function reports(factory: TargetFactory, capabilities: Capabilities, title: string): Promise<void> {
  const { failed } = await runSuite(factory, capabilities, { only: title });
  expect([...failed.keys()]).toContain(title);
  expectInForm(title, failed.get(title));
}

/**
 * Right backends are held against the whole suite by tests of their own. The long test has all
 * rules here, too.
 */
const SAMPLE = { most: 40 };

describe('the conformance suite', () => {
  const memory = memoryFactory((target) => target);
  for (const [name, run] of [
    // That it finds none in one without a wrapper is what the tests of the memory backend are.
    [
      'a wrapper around a memory target',
      () =>
        runSuite(
          memoryFactory((target) => new Delegate(target)),
          MEMORY_CAPABILITIES,
          SAMPLE,
        ),
    ],
    [
      'a persistent target with slow hooks',
      () => runSuite(arenaFactory(ArenaTarget), ARENA_CAPABILITIES, SAMPLE),
    ],
    ['a target that calls travel to', () => runSuite(distantFactory(), DISTANT_CAPABILITIES, SAMPLE)],
  ] as const) {
    test(`finds no fault in ${name}`, async () => {
      const { passed, failed } = await run();
      expect(Object.fromEntries(failed)).toEqual({});
      if (isThorough) expect(passed.length).toBeGreaterThan(125);
      else expect(passed.length).toBe(SAMPLE.most);
    });
  }

  test('leaves out what a factory says it cannot do', async () => {
    const limited = { create: () => memory.create(), maxRegionBytes: 2 ** 20 };
    // Where space has no bound, these go another way.
    const { passed, failed } = await runSuite(limited, MEMORY_CAPABILITIES, { only: 'erase: ' });
    expect(failed.size).toBe(0);
    expect(passed.length).toBeGreaterThan(8);
    const [all, kept] = [memory, limited].map((factory) =>
      titlesOf((runner) => describeTarget(runner, factory, MEMORY_CAPABILITIES)),
    ) as [string[], string[]];
    const left = all.filter((title) => !kept.includes(title));
    expect(left.length).toBeGreaterThan(8);
    expect(
      left.filter((title) => !/^(space|stats|put|transactions|large regions|import): /.test(title)),
    ).toEqual([]);
  });

  test('says what it leaves out, and what the factory lacks for it', () => {
    const left: string[] = [];
    const ignore = (): void => undefined;
    const it = Object.assign(ignore, { skip: (title: string) => left.push(title) });
    const describe = (_title: string, define: () => void): void => define();
    const runner = { describe, it, beforeEach: ignore, afterEach: ignore };
    const factory = { create: () => memory.create(), maxRegionBytes: 2 ** 20 };
    describeTarget(runner, factory, { ...MEMORY_CAPABILITIES, persistent: true });
    const lacking = left.map((title) => /: (?:the factory (?:has no|does not say) )?(\w+)/.exec(title)?.[1]);
    expect(lacking).toEqual([
      ...['createBounded', 'maxRegionBytes', 'createImporting'],
      ...['reopen', 'crash', 'syncsByNode'],
    ]);
  });
});

/** What each wrapper gets wrong, and a rule that it breaks. */
const WRONG_DELEGATES: Record<keyof typeof delegates, string> = {
  TakesTheLowWordOfOffsets: 'large regions: does not take offsets modulo 2^31 or 2^32',
  ShowsErasedBytes: "erase: never shows an erased region's bytes in a new one",
  ReusesIds: 'region IDs: never gives an ID a second time',
  ClampsReads: 'bounds: rejects a read past the end with OUT_OF_RANGE',
  ResolvesWritesTooEarly: 'write and persist: shows a write with {} when it resolves',
  ReadsLiveViews: 'read: gives a copy that later writes do not change',
  KeepsTheCallersBuffer: 'buffers: uses the bytes of write no more when it has resolved',
  WritesOneByteTooMany: 'write and persist: changes exactly the bytes of the range that is written',
  ErasesTwice: 'erase: refuses to erase a region twice, with REGION_NOT_FOUND',
  RefusesErasedIdsTooLate: 'erase: refuses the ID from the call of erase on, not from its end',
  IgnoresThePoolInIds: 'region IDs: refuses the IDs of another target with REGION_NOT_FOUND, in every call',
  OmitsARegionWhenPaging: 'list: gives every region exactly once over pages of any size',
  ListsInChangingOrder: 'list: keeps its order while regions come and go',
  ShowsUnfinishedRegions: 'createAndWrite: shows a region only when its source has ended',
  LeavesRegionsOfFailedSources:
    'createAndWrite: passes on what a source throws, and leaves no region and no used space behind',
  HidesWhatASourceThrew:
    'createAndWrite: passes on what a source throws, and leaves no region and no used space behind',
  ChecksRangesAsItGoes:
    'readv and writev: rejects a range past the end with OUT_OF_RANGE before the first byte',
  IgnoresWrongOptions:
    'write and persist: rejects options of the wrong type with INVALID_ARGUMENT, changing nothing',
  LosesSpaceWhenOutOfSpace: 'space: changes nothing when space runs out, however often',
  PromisesMoreThanIsFree: 'space: creates what stats call the largest free piece, and no byte more',
  ForgetsToCountRegions: 'stats: counts regions and used bytes exactly',
  TellsTimeInSeconds: 'create: says when a region was created, in whole milliseconds since the epoch',
  TellsTheTimeOfTheCall: 'create: never changes the size and the time of a region',
  DoesNotWaitInClose: 'lifecycle: waits in close for a slow source, whose region is then made',
  ServesUntilCloseEnds: 'lifecycle: refuses every call from the call of close on',
  FailsToCloseTwice: 'lifecycle: does nothing when it is opened again, or closed again',
  MapsCopies: 'mapping: shows writes in the views, and writes through the views in reads',
  DoesNotHoldMappedRegions: 'mapping: uses the space of an erased region until its last mapping is released',
  ForgetsErasedIds: 'import: never gives out an ID again that was erased in the original',
  DatesImportsAnew: 'import: takes over IDs, sizes, times, order and contents (erased last)',
  KeepsHalfAnImport: 'import: leaves nothing of an import whose source failed, so that it can be tried again',
};

const WRONG_NAMING: Record<keyof typeof naming, string> = {
  NormalizesNames: 'names: takes every name of at most 1024 bytes of UTF-8, byte by byte as it is',
  TakesHexForIds: 'names: never takes the text of an ID for the ID',
  OrdersNamesAsJavaScriptDoes:
    'names: gives every name exactly once, in the order of bytes, over pages of any size',
  CountsPlacesOverPages: 'names: misses no name that stays, and gives none twice, while others come and go',
  GivesACommonPrefixOnEveryPage: 'names: groups names by a delimiter behind the prefix',
  RenamesByCopying: 'names: gives, changes and takes away names; ID, time and contents stay',
  ReplacesByEveryRename: 'names: refuses to rename to a taken name with NAME_TAKEN, unless it is to replace',
  ReplacesInTwoSteps: 'put: has the old region under the name until the new one is whole',
  KeepsWhatAPutReplaces:
    'put: replaces the region of a name by a new one, whatever the sizes, and erases the old',
  WritesIntoTheRegionOfTheName: 'put: shows readers one region or the other, never a mixture, and always one',
  IgnoresConditions: 'put: makes a put with `if: absent` only where no region has the name',
  JudgesConditionsBeforeTheContents: 'put: judges a condition when the contents have come',
  GivesUpTheOldRegionOfAFailedPut:
    'put: changes nothing where the source fails, or gives more or fewer bytes',
  MakesChangesOneByOne: 'transactions: refuses all changes if one cannot be made, and says which',
  ShowsHalfOfATransaction: 'transactions: never shows some of the changes without the others',
  JudgesChangesByTheStart:
    'transactions: makes changes in their order, each finding what those before it have made',
  ForgetsWhichChangeFailed: 'transactions: refuses all changes if one cannot be made, and says which',
  TakesTransactionsOfAnySize:
    'transactions: refuses more bytes than a transaction may hold with TRANSACTION_TOO_LARGE',
  KeepsMappingsUntilItCloses: 'mapNames: releases each region when the loop goes on, ends, is left or fails',
  MapsAllNamesFirst: 'mapNames: passes over names that go meanwhile',
};

describe('a wrong target is found out if it', () => {
  for (const [name, title] of Object.entries(WRONG_NAMING)) {
    test(inWords(name), async () => {
      const Wrong = naming[name as keyof typeof naming];
      await reports(
        // Enough for what ends at all: whatever else these get wrong, their calls settle at once.
        { ...memoryFactory((target) => new Wrong(target)), patienceMs: 1000 },
        MEMORY_CAPABILITIES,
        title,
      );
    });
  }

  for (const [name, title] of Object.entries(WRONG_DELEGATES)) {
    test(inWords(name), async () => {
      const Wrong = delegates[name as keyof typeof delegates];
      await reports(
        memoryFactory((target) => new Wrong(target)),
        MEMORY_CAPABILITIES,
        title,
      );
    });
  }

  for (const [Wrong, title] of [
    [backends.NeverFreesSpace, 'space: gives space back forever: fills and empties it again and again'],
    [
      backends.KeepsRegionsThoughVolatile,
      'lifecycle: has forgotten its regions when it is opened again, being volatile',
    ],
  ] as const) {
    test(inWords(Wrong.name), async () => {
      await reports(
        memoryFactory((target) => target, Wrong),
        MEMORY_CAPABILITIES,
        title,
      );
    });
  }

  const again = 'by the same object opened again';
  for (const [Wrong, title] of [
    [buffers.StoresWritesBehind, 'buffers: uses the bytes of write no more when it has resolved'],
    [
      buffers.ReadsDurableWritesFromTheirBuffers,
      'buffers: uses the bytes of write with persist no more when it has resolved',
    ],
    [buffers.InvertsTheCallersBytes, 'buffers: leaves the bytes of writev as they are'],
    [buffers.KeepsPiecesOfSources, 'buffers: is done with a piece of 4096 bytes when it asks for the next'],
    [buffers.KeepsFilledBuffers, 'buffers: leaves a buffer alone that it has filled'],
    [backends.ForgetsToZero, "erase: never shows an erased region's bytes in a new one"],
    [
      backends.ZeroesNothingAroundWrites,
      "erase: never shows an erased region's bytes beside what is written to a new one",
    ],
    [
      backends.ReleasesUnderCallsInFlight,
      'erase: lets reads in flight end as if the region were still there',
    ],
    [
      backends.LosesUnpersistedWritesAtClose,
      `persistence: recovers every kind of write, persisted or not, after a close ${again}`,
    ],
    [
      backends.LosesARegion,
      'persistence: recovers regions with IDs, sizes, times, order and contents by a second object',
    ],
    [
      backends.ForgetsTheTimes,
      `persistence: recovers regions with IDs, sizes, times, order and contents ${again}`,
    ],
    [
      backends.StartsWithIdsAnew,
      'persistence: keeps what was erased erased, and its IDs invalid, by a second object',
    ],
    [
      backends.RevivesErasedRegions,
      `persistence: keeps what was erased erased, and its IDs invalid, ${again}`,
    ],
    [backends.KeepsDataAfterDestroy, 'persistence: deletes all data by destroy'],
    [
      backends.OpensWhatIsOpen,
      'persistence: is refused with POOL_IN_USE while another object has it open, which goes on serving',
    ],
    [
      backends.StoresDurableWritesLate,
      'crashes: has resolved no durable write too early: each is there if it is killed at once',
    ],
    [
      backends.NotesErasesAtClose,
      'crashes: keeps erased regions erased when it is killed, and their space free',
    ],
    [
      backends.RecoversUnfinishedRegions,
      'crashes: has no trace of a source that was in flight when it was killed',
    ],
    [
      backends.ForgetsTheLastIds,
      'crashes: gives no ID again after it was killed, not even of what was erased last',
    ],
  ] as const) {
    test(inWords(Wrong.name), async () => {
      await reports(arenaFactory(Wrong), ARENA_CAPABILITIES, title);
    });
  }
});

/** `ErasesTwice` as `erases twice`. */
function inWords(name: string): string {
  return name.replace(/\B(?=[A-Z])/g, ' ').toLowerCase();
}
