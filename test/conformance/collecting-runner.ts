/**
 * A test runner of a few lines that tells which tests failed instead of failing itself: what a
 * suite is tested with.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { TestRunner } from '../../core/conformance/index.js';
import { sampled } from '../fixtures/thoroughness.js';

export interface Results {
  /** Full titles, `group: title`. */
  readonly passed: readonly string[];
  /** What a test failed with first: hooks that fail after it may only follow from it. */
  readonly failed: ReadonlyMap<string, unknown>;
}

export interface RunOptions {
  /** For a test and each of its hooks. */
  timeoutMs?: number;
  /** Only tests whose full titles begin with this are run; all of them unless told. */
  only?: string;
  /** Of those so many, from the first to the last; all of them unless told, and in a thorough run. */
  most?: number;
}

type Step = () => Promise<void>;

interface Group {
  title: string;
  before: Step[];
  after: Step[];
}

interface Test {
  title: string;
  check: Step;
  /** From the outermost on. */
  around: Group[];
}

/** Runs the tests that `define` defines, one after another. */
export async function runTests(
  define: (runner: TestRunner) => void,
  { timeoutMs = 200_000, only = '', most = Infinity }: RunOptions = {},
): Promise<Results> {
  const passed: string[] = [];
  const failed = new Map<string, unknown>();
  const tests = collect(define).filter(({ title }) => title.startsWith(only));
  for (const { title, check, around } of sampled(most, tests)) {
    if (failed.has(title) || passed.includes(title)) throw new Error(`two tests are called "${title}"`);
    const failure = await failureOf([...around.flatMap(({ before }) => before), check], timeoutMs);
    const late = await failureOf(
      around.toReversed().flatMap(({ after }) => after),
      timeoutMs,
    );
    const first = failure ?? late;
    if (first === undefined) passed.push(title);
    else failed.set(title, first.error);
  }
  return { passed, failed };
}

/** The full titles of the tests that `define` defines. */
export function titlesOf(define: (runner: TestRunner) => void): string[] {
  return collect(define).map(({ title }) => title);
}

function collect(define: (runner: TestRunner) => void): Test[] {
  const groups: Group[] = [];
  const tests: Test[] = [];
  const here = (): Group => {
    const group = groups.at(-1);
    if (group === undefined) throw new Error('hooks and tests belong into a describe');
    return group;
  };
  define({
    describe(title, fill) {
      groups.push({ title, before: [], after: [] });
      fill();
      groups.pop();
    },
    it(title, check) {
      tests.push({ title: `${here().title}: ${title}`, check, around: [...groups] });
    },
    beforeEach: (step) => here().before.push(step),
    afterEach: (step) => here().after.push(step),
  });
  return tests;
}

async function failureOf(steps: readonly Step[], timeoutMs: number): Promise<{ error: unknown } | undefined> {
  try {
    for (const step of steps) await inTime(step, timeoutMs);
    return undefined;
  } catch (error) {
    return { error };
  }
}

async function inTime(step: Step, timeoutMs: number): Promise<void> {
  const stop = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: stop.signal }).then(() => {
    throw new Error(`did not end within ${timeoutMs} ms`);
  });
  late.catch(() => undefined);
  try {
    await Promise.race([step(), late]);
  } finally {
    stop.abort();
  }
}
