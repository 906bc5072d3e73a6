/** How every script here starts jest. */
import path from 'node:path';
import { root, run } from './run.js';

/**
 * There are more workers than cores, so threads of a collector only take time from the others. The
 * hundreds of modules of each test file fill the engine's usual young generation many times. Node.js
 * refuses to start with a flag that its engine does not have, so each must be one of all versions
 * from 20 on.
 */
const COLLECTION = ['--single-threaded-gc', '--min-semi-space-size=32', '--max-semi-space-size=64'];

/**
 * @param env variables in addition to this process's own. With BEDROCK_TEST_ALL, jest.config.js
 *   also runs the long tests; with BEDROCK_WITHOUT_ADDON it leaves out the tests that need the
 *   native addon
 * @returns its exit status
 */
export function jest(args, env = {}) {
  // --experimental-vm-modules: jest loads ES modules with it. Its notice would hide the results.
  const node = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', ...COLLECTION];
  const main = path.join(root, 'node_modules/jest/bin/jest.js');
  return run(process.execPath, [...node, main, ...args], { env: { ...process.env, ...env } });
}

/** Tells jest.config.js that there is no addon. */
export function addonEnv(hasNative) {
  return hasNative ? {} : { BEDROCK_WITHOUT_ADDON: '1' };
}
