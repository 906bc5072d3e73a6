/**
 * No failure that the suite reports is bare: targets that get nearly everything wrong are run
 * through all of it. The long test has more of them.
 */
import { describe, expect, test } from '@jest/globals';
import { MEMORY_CAPABILITIES, MemoryTarget } from '../../backends/memory/memory-target.js';
import { createLogger } from '../../core/base/logging.js';
import { describeTarget, type TargetFactory } from '../../core/conformance/index.js';
import type { Target } from '../../core/index.js';
import { isThorough, sampled } from '../fixtures/thoroughness.js';
import { Arena, ARENA_CAPABILITIES, arenaSpaceOf, ArenaTarget } from '../targets/arena-target.js';
import { runTests } from './collecting-runner.js';
import { expectInForm, expectStepInForm } from './message-form.js';

const logger = createLogger({ level: 'off', format: 'text' });
const context = { logger, clock: { now: () => Date.now() } };

type Call = (...given: unknown[]) => Promise<unknown>;
/** What becomes of a call: `call` makes it. */
type Wrap = (call: () => Promise<unknown>, name: string) => Promise<unknown>;

/** Nothing that an error has, not even a way to be printed. */
const NO_ERROR = Object.create(null) as Error;

/** Calls of the suite's own before and after each rule. */
const AROUND = new Set(['open', 'close']);

/** A target each call of which goes through `wrap`, but open and close. */
function wrapped(target: Target, wrap: Wrap, others: Partial<Target> = {}): Target {
  return new Proxy(target, {
    get(inner, key) {
      const name = String(key);
      if (Object.hasOwn(others, name)) return others[name as keyof Target];
      const member: unknown = Reflect.get(inner, key, inner);
      if (typeof member !== 'function') return member;
      const call = (member as Call).bind(inner);
      return AROUND.has(name) ? call : (...given: unknown[]) => wrap(() => call(...given), name);
    },
  });
}

function memoryFactory(wrap: Wrap, others?: Partial<Target>): TargetFactory {
  const make = (config: { max_bytes?: number }, more = {}): Target =>
    wrapped(new MemoryTarget(config, { ...context, ...more }), wrap, others);
  return {
    create: () => make({}),
    createBounded: (max_bytes) => make({ max_bytes }),
    createImporting: (poolId) => make({}, { poolId }),
    // Nothing here differs by size.
    maxRegionBytes: 16 * 2 ** 20,
  };
}

/** Whatever a result holds, other than it was: numbers, texts, bytes and lists. */
function spoiled(value: unknown): unknown {
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'string') return `${value}?`;
  if (value instanceof Uint8Array) return value.map((byte) => byte ^ 1);
  if (Array.isArray(value)) return value.slice(1);
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, spoiled(inner)]));
}

const WRONG: Readonly<Record<string, Wrap>> = {
  'fails in every call': () => Promise.reject(new Error('out of order')),
  'throws what is no error': () => Promise.reject(NO_ERROR),
  'throws instead of rejecting': () => {
    throw new RangeError('not now');
  },
  'gives nothing': async (call) => void (await call()),
  'gives other numbers, texts, bytes and lists': async (call) => spoiled(await call()),
  'never fails': (call) => call().catch(() => new Uint8Array(8)),
  'fails without a code': (call) =>
    call().catch((error: unknown) => Promise.reject(new Error(String(error)))),
  'forgets to erase': (call, name) => (name === 'erase' ? Promise.resolve() : call()),
  'forgets to write': (call, name) => (/^write/.test(name) ? Promise.resolve() : call()),
  'gives nothing and does nothing': () => Promise.resolve(undefined),
};

/** Asserts that each failure is in words. @returns their number */
async function failuresInForm(
  factory: TargetFactory,
  capabilities = MEMORY_CAPABILITIES,
  only = '',
): Promise<number> {
  const { failed } = await runTests((runner) => describeTarget(runner, factory, capabilities), { only });
  for (const [title, failure] of failed) expectInForm(title, failure);
  return failed.size;
}

describe('the suite states the rule, what it found and what it expected for a target that', () => {
  test.each(sampled(2, Object.entries(WRONG)))('%s', async (_, wrap) => {
    expect(await failuresInForm(memoryFactory(wrap))).toBeGreaterThan(10);
  });

  test('has the wrong state, type and capabilities', async () => {
    const claimed = { ...MEMORY_CAPABILITIES, growable: !MEMORY_CAPABILITIES.growable };
    const others = { state: 'opening', type: '', capabilities: claimed } as const;
    const factory = memoryFactory((call) => call(), others);
    for (const subject of ['create: ', 'stats: ', 'lifecycle: '])
      expect(await failuresInForm(factory, MEMORY_CAPABILITIES, subject)).toBeGreaterThan(0);
  });

  test('has a mode that is none', async () => {
    const wrap: Wrap = async (call, name) =>
      name === 'stats' ? { ...((await call()) as object), mode: 'wal' } : call();
    expect(await failuresInForm(memoryFactory(wrap), MEMORY_CAPABILITIES, 'stats: ')).toBe(1);
  });

  for (const title of isThorough ? ['recovers nothing'] : [])
    test(title, async () => {
      const fresh = (): Target => new ArenaTarget(new Arena(16 * 2 ** 20), logger);
      const factory = {
        create: fresh,
        reopen: fresh,
        crash: fresh,
        spaceOf: arenaSpaceOf,
        maxRegionBytes: 2 ** 20,
      };
      expect(await failuresInForm(factory, ARENA_CAPABILITIES)).toBeGreaterThan(10);
    });

  test.each(['open', 'close'] as const)('cannot %s', async (step) => {
    const refuse = (): Promise<void> => Promise.reject(new Error('out of order'));
    const factory = memoryFactory((call) => call(), { [step]: refuse });
    const { failed } = await runTests((runner) => describeTarget(runner, factory, MEMORY_CAPABILITIES), {
      only: 'create: ',
    });
    expect(failed.size).toBeGreaterThan(5);
    for (const failure of failed.values()) expectStepInForm(failure);
  });
});
