/**
 * `npm test`: sets up, builds, checks formatting, lint and types, and runs the quick tests, which
 * cover every behaviour. `npm run test:all` (scripts/test-all.js) runs the rest.
 *
 * Arguments are passed to jest, and the checks are skipped: `npm test -- test/http/ranges` runs one
 * file. A pattern with `.long` also matches long tests.
 */
import { addonEnv, jest } from './jest.js';
import { must, root } from './run.js';
import { build } from './build.js';
import { setUp } from './setup.js';

const given = process.argv.slice(2);
process.chdir(root);
await setUp();
const hasNative = await build();
if (given.length === 0) await must(process.execPath, ['scripts/lint.js']);
const namesLong = given.some((argument) => argument.includes('.long'));
process.exitCode = await jest(given, {
  ...addonEnv(hasNative),
  ...(namesLong && { BEDROCK_TEST_ALL: '1' }),
});
