/**
 * `npm run test:all`: all that `npm test` leaves out because it takes minutes: the tests in
 * `*.long.test.ts`, and the tests of the native addon under sanitizers. Both together are the whole
 * check, as .ci/run does it.
 *
 * Everything runs even if something has failed before; the exit status is 1 then. Arguments go to
 * jest, and leave the sanitizers out.
 */
import { addonEnv, jest } from './jest.js';
import { root } from './run.js';
import { build } from './build.js';
import { sanitize } from './sanitize.js';
import { setUp } from './setup.js';

const given = process.argv.slice(2);
process.chdir(root);
await setUp();
const hasNative = await build();
const sanitized = hasNative && given.length === 0 ? await sanitize([]) : 0;
if (!hasNative) console.log('Without the native addon there is nothing to run under sanitizers.');
const tested = await jest(['--testMatch=**/*.long.test.ts', ...given], {
  ...addonEnv(hasNative),
  BEDROCK_TEST_ALL: '1',
});
if (sanitized !== 0) console.error('The tests under sanitizers have failed; see above.');
process.exitCode = sanitized === 0 ? tested : 1;
