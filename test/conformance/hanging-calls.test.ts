/** A call that never settles is reported: the rule that waits for it, and the call. */
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { MEMORY_CAPABILITIES, MemoryTarget } from '../../backends/memory/memory-target.js';
import { createLogger } from '../../core/base/logging.js';
import { describeTarget, type TargetFactory } from '../../core/conformance/index.js';
import type { Target } from '../../core/index.js';
import { holdTimers, passUntilSettled, turns } from '../fixtures/held-time.js';
import { runTests, type Results } from './collecting-runner.js';
import { Delegate } from './delegate.js';
import { expectInForm } from './message-form.js';

const context = {
  logger: createLogger({ level: 'off', format: 'text' }),
  clock: { now: () => Date.now() },
};

class Hanging extends Delegate {
  constructor(private readonly call: 'persist' | 'open' | 'close' | 'nothing') {
    super(new MemoryTarget({}, context));
  }

  #unless(name: string, call: () => Promise<void>): Promise<void> {
    return this.call === name ? new Promise(() => undefined) : call();
  }

  override open(): Promise<void> {
    return this.#unless('open', () => super.open());
  }
  override close(): Promise<void> {
    return this.#unless('close', () => super.close());
  }
  override persist(...given: Parameters<Target['persist']>): Promise<void> {
    return this.#unless('persist', () => super.persist(...given));
  }
}

const SUBJECT = 'write and persist';

afterEach(() => {
  jest.useRealTimers();
});

/** What comes of the rules of a subject. */
async function resultsOf(factory: TargetFactory, only: string): Promise<Results> {
  holdTimers('setTimeout');
  const ran = runTests((runner) => describeTarget(runner, factory, MEMORY_CAPABILITIES), { only });
  return passUntilSettled(ran);
}

describe('the conformance suite', () => {
  test('names the rule and the call that it waited for, and goes on with the next rule', async () => {
    const factory = { create: () => new Hanging('persist'), patienceMs: 1000 };
    const { failed, passed } = await resultsOf(factory, SUBJECT);
    expect(failed.size).toBeGreaterThan(0);
    expect(passed.length).toBeGreaterThan(1);
    for (const [title, failure] of failed) {
      expectInForm(title, failure);
      expect((failure as Error).message.split('\n')[1]).toMatch(/^persist: /);
    }
  });

  test.each(['open', 'close'] as const)('names %s around a rule', async (call) => {
    const factory = { create: () => new Hanging(call), patienceMs: 1000 };
    const { failed, passed } = await resultsOf(factory, 'create: ');
    expect(passed).toEqual([]);
    expect(failed.size).toBeGreaterThan(1);
    for (const failure of failed.values()) expect((failure as Error).message).toContain(`${call}: found`);
  });

  test('names what the factory does not give', async () => {
    const create = (): Promise<Target> => new Promise(() => undefined);
    const { failed } = await resultsOf({ create, patienceMs: 1000 }, 'create: ');
    expect(failed.size).toBeGreaterThan(1);
    for (const failure of failed.values())
      expect((failure as Error).message).toContain('create of the factory');
  });

  test('names them after the test where the runner does not wait so long', async () => {
    const around: Record<'before' | 'after', () => Promise<void>> = { before: reject, after: reject };
    const rules = new Map<string, () => Promise<void>>();
    const runner = {
      describe: (title: string, define: () => void) => {
        if (title === SUBJECT || title === 'target contract') define();
      },
      it: (title: string, run: () => Promise<void>) => rules.set(title, run),
      beforeEach: (run: () => Promise<void>) => (around.before = run),
      afterEach: (run: () => Promise<void>) => (around.after = run),
    };
    describeTarget(runner, { create: () => new Hanging('persist') }, MEMORY_CAPABILITIES);
    holdTimers('setTimeout');
    let reported = 0;
    for (const [title, rule] of rules) {
      await around.before();
      const run = { hasEnded: false };
      const end = (): void => void (run.hasEnded = true);
      rule().then(end, end);
      for (let turn = 0; turn < 1000 && !run.hasEnded; turn++) await turns();
      if (run.hasEnded) await around.after();
      else {
        const failure: unknown = await around.after().catch((error: unknown) => error);
        expectInForm(`${SUBJECT}: ${title}`, failure);
        expect((failure as Error).message.split('\n')[1]).toMatch(/^persist: /);
        reported++;
      }
    }
    expect(reported).toBeGreaterThan(0);
  });
});

function reject(): Promise<void> {
  return Promise.reject(new Error('nothing was defined'));
}
