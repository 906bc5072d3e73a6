import { expect, it } from '@jest/globals';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { locationInStack } from '../../core/base/stack-location.js';

const OURS = path.resolve(import.meta.dirname, '../../core/daemon/daemon.ts');

const stackOf = (...frames: string[]): string =>
  ['Error: /not/a/frame:1:2', ...frames.map((frame) => `    at ${frame}`)].join('\n');

it.each([
  ['a module, by its URL', stackOf('file:///a%20b/lib.mjs:3:9'), '/a b/lib.mjs:3'],
  ['a CommonJS file', stackOf('Object.<anonymous> (/a b/lib.cjs:7:1)'), '/a b/lib.cjs:7'],
  ['an async function', stackOf('async Timer.run (file:///lib.mjs:5:11)'), '/lib.mjs:5'],
  [
    'the first that is neither ours nor of Node',
    stackOf('node:events:500:1', `close (${pathToFileURL(OURS).href}:1:1)`, '/lib.cjs:2:3', '/other.cjs:4:5'),
    '/lib.cjs:2',
  ],
  ['our own file where there is no other', stackOf(`close (${OURS}:8:1)`), `${OURS}:8`],
  ['a file with brackets in its path', stackOf('f (/a(b)/(c.js:1:2)'), '/a(b)/(c.js:1'],
  ['a URL that cannot be one', stackOf('file:///%ff%2f:5:6'), 'file:///%ff%2f:5'],
])('finds %s', (_what, stack, place) => {
  expect(locationInStack(stack)).toBe(place);
});

it.each([[undefined], [5], [''], ['no frames'], [stackOf('node:internal/timers:1:2')]])(
  'finds nothing in %j',
  (stack) => {
    expect(locationInStack(stack)).toBeUndefined();
  },
);

it.each([
  ['brackets', (count: number) => '(/'.repeat(count)],
  ['positions', (count: number) => ':1'.repeat(count)],
  ['spaces', (count: number) => ' '.repeat(count)],
  ['frames', (count: number) => ' (/a:1'.repeat(count)],
])('takes no longer than its length tells over a line of many %s', (_what, many) => {
  // A hundred times as long would be ten thousand times as much, which no time-out waits for.
  expect(locationInStack(stackOf(`f (${many(2 ** 17)}`, `f ${many(2 ** 22)}x`))).toBeUndefined();
});
