/** The evaluator of queries, in this thread. What would hold it up is in queries.test.ts. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { type EvaluationLimits, Evaluator } from '../../core/query/evaluator.js';

const DOCUMENT = {
  providers: [
    { name: 'a', type: 'warabi' },
    { name: 'b', type: 'yokan' },
  ],
  n: 7,
};

const LIMITS: EvaluationLimits = {
  // Far more than the slowest machine takes.
  max_time_ms: 120_000,
  max_memory_bytes: 8 * 2 ** 20,
  max_depth: 500,
  max_answer_bytes: 10_000,
};

let evaluator: Evaluator;
beforeAll(async () => {
  evaluator = await Evaluator.load();
});

function answer(expression: string): unknown {
  const result = evaluator.evaluate({ expression, document: JSON.stringify(DOCUMENT), limits: LIMITS });
  if (!('answer' in result)) throw new Error(JSON.stringify(result));
  return JSON.parse(result.answer);
}

describe('an expression', () => {
  it.each<[string, unknown]>([
    ['providers.name', ['a', 'b']],
    ['providers[type="yokan"].name', 'b'],
    ['$', DOCUMENT],
    ['$$.n + 1', 8],
    ['nothing.here', null],
    ['$sum', null],
    ['function($x){$x}', null],
    ['{"a": $sum, "b": 1, "c": [function($x){$x}, 2]}', { b: 1, c: [null, 2] }],
    ['"é€😀"', 'é€😀'],
    ['$now() > "2000"', true],
    ['$eval("n * 2")', 14],
    ['$base64encode("hello, wörld")', Buffer.from('hello, wörld', 'latin1').toString('base64')],
    ['["", "a", "ab", "abc", "abcd"].$base64encode($)', ['', 'YQ==', 'YWI=', 'YWJj', 'YWJjZA==']],
    ['$base64decode("aGVsbG8=")', 'hello'],
    ['$encodeUrlComponent("a b/ö")', 'a%20b%2F%C3%B6'],
    ['$match("ababb", /a(b+)/).match', ['ab', 'abb']],
    ['$fromMillis(1510067557121)', '2017-11-07T15:12:37.121Z'],
    ['$formatNumber(12345.6, "#,###.00")', '12,345.60'],
  ])('%s gives its value as JSON', (expression, value) => {
    expect(answer(expression)).toEqual(value);
  });

  it.each<[string, string, number | undefined]>([
    ['a syntax error', 'x y', 3],
    ['an open bracket', '\n providers.[', 13],
    ['nothing', '', undefined],
    ['an error of types', '1 + "a"', 3],
    ['an error of its own', '$error("no")', 7],
    ['an unknown function', '$nothing(1)', 9],
    ['what is no Base64', '$base64decode("%")', 14],
  ])('with %s is a mistake, with its position', (_, expression, position) => {
    const result = evaluator.evaluate({ expression, document: '{}', limits: LIMITS });
    expect(result).toEqual({
      mistake: { message: expect.any(String), ...(position !== undefined && { position }) },
    });
  });
});

describe('an expression that looks for a way out', () => {
  it.each([
    ['the constructor of a text', '"".constructor'],
    ['the constructor of the document', '$.constructor'],
    ['a prototype', '$.__proto__'],
    ['a prototype by $lookup', '$lookup($, "__proto__")'],
    ['a constructor by $lookup', '$lookup($sum, "constructor")'],
    ['the code of a function', '$sum.implementation'],
    ['the environment of a function', '(function($x){$x}).environment'],
    ['a global object', '[process, require, global, globalThis, window, module, jsonata, begin, outcome]'],
  ])('as %s finds nothing', (_, expression) => {
    const found = answer(expression);
    expect(found === null || (Array.isArray(found) && found.length === 0)).toBe(true);
  });

  it('finds no prototype to change for the next one', () => {
    evaluator.evaluate({
      expression: '$ ~> |$|{"__proto__": {"leaked": 1}, "constructor": {"prototype": {"leaked": 1}}}|',
      document: '{}',
      limits: LIMITS,
    });
    answer('{"__proto__": {"leaked": 1}}');
    answer('($leaked := 1; $merge([{"__proto__": {"leaked": 1}}, {"a": 1}]))');
    expect(answer('[leaked, {}.leaked, $leaked, "".leaked]')).toEqual([]);
    expect(({} as Record<string, unknown>).leaked).toBeUndefined();
  });

  it('and reaches the code of the interpreter finds nothing of Node.js there', () => {
    // What an unknown hole of JSONata would give: any JavaScript, but that of the interpreter.
    const source = Reflect.get(evaluator, 'jsonata') as string;
    Reflect.set(
      evaluator,
      'jsonata',
      '(function () { return { evaluate: function () { return Promise.resolve([typeof process, typeof require, typeof fetch, typeof Buffer, typeof WebAssembly, typeof setTimeout]) } } })',
    );
    expect(answer('')).toEqual(Array.from({ length: 6 }, () => 'undefined'));
    Reflect.set(evaluator, 'jsonata', source);
  });
});
