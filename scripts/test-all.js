/**
 * `npm run test:all`: runs what `npm test` leaves out because it takes minutes: the tests in
 * `*.long.test.ts`, and the tests of the native addon under sanitizers. `.ci/run` runs both
 * commands.
 *
 * Everything runs even after a failure; the exit status is then 1. Arguments are passed to jest,
 * and the sanitizers are left out.
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
// The option takes all that follows it as patterns of its own.
const tested = await jest([...given, '--testMatch=**/*.long.test.ts'], {
  ...addonEnv(hasNative),
  BEDROCK_TEST_ALL: '1',
});
if (sanitized !== 0) console.error('The tests under sanitizers have failed; see above.');
process.exitCode = sanitized === 0 ? tested : 1;
