/** Expressions that would hold up or end the daemon, were it not for the limits. */
import { afterEach, describe, expect, it } from '@jest/globals';
import type { BedrockError } from '../../core/index.js';
import { Queries, type QuerySettings } from '../../core/query/queries.js';

const SETTINGS: QuerySettings = {
  // Far more than the slowest machine takes.
  max_time_ms: 60_000,
  max_memory_bytes: 8 * 2 ** 20,
  max_depth: 500,
  max_answer_bytes: 10_000,
  max_expression_bytes: 100_000,
  max_queued: 2,
};

let queries: Queries | undefined;
afterEach(() => queries?.close());

function ask(expression: string, settings: Partial<QuerySettings> = {}): Promise<unknown> {
  queries = new Queries({ ...SETTINGS, ...settings }, () => ({}));
  return queries.run(expression).catch((error: unknown) => {
    const { code, details } = error as BedrockError;
    return details.setting ?? code;
  });
}

describe('an expression that holds on', () => {
  const BRIEFLY = { max_time_ms: 100 };

  it.each<[string, string, keyof QuerySettings, Partial<QuerySettings>?]>([
    ['a loop without end', '($f := function($x){$f($x)}; $f(1))', 'max_time_ms', BRIEFLY],
    ['a pattern that backtracks', '$match($pad("", 60, "a") & "!", /^(a+)+$/)', 'max_time_ms', BRIEFLY],
    [
      'the same through $eval',
      '$eval("$contains($pad(\\"\\", 60, \\"a\\"), /(a+)+!/)")',
      'max_time_ms',
      BRIEFLY,
    ],
    ['a step that looks at no clock', '$length($pad("", 2000000000))', 'max_time_ms', BRIEFLY],
    ['a recursion without end', '($f := function($x){1 + $f($x)}; $f(1))', 'max_depth'],
    ['deep brackets', `${'('.repeat(2000)}1${')'.repeat(2000)}`, 'max_depth'],
    [
      'a text that doubles',
      '$uppercase($reduce([1..40], function($a, $b){$a & $a}, "é"))',
      'max_memory_bytes',
    ],
    ['a long range', '$count([1..9999999])', 'max_memory_bytes'],
    ['a list that doubles', '$reduce([1..40], function($a, $b){$append($a, $a)}, [1])', 'max_memory_bytes'],
    ['a tree that doubles', '$reduce([1..40], function($a, $b){{"a": $a, "b": $a}}, 1)', 'max_memory_bytes'],
    ['a long answer', '$pad("", 20000)', 'max_answer_bytes'],
    ['an answer that is long as bytes', '$pad("", 5000, "€")', 'max_answer_bytes'],
  ])('as %s ends at its limit', async (_, expression, exceeded, limits = {}) => {
    expect(await ask(expression, limits)).toBe(`bedrock.query.${exceeded}`);
  });

  it.each([
    ['deep brackets', '$eval($join([1..2000].("(")))'],
    ['a recursion', '($e := "$eval($e)"; $eval($e))'],
  ])('through $eval as %s ends as a mistake or at a limit', async (_, expression) => {
    expect(await ask(expression)).toMatch(/INVALID_ARGUMENT|max_depth|max_memory_bytes/);
  });
});
