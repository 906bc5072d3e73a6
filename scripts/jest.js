/** How every script here starts jest. */
import path from 'node:path';
import { root, run } from './run.js';

/**
 * @param env beside this process's own. BEDROCK_TEST_ALL lets jest.config.js take the long tests in
 *   as well, and BEDROCK_WITHOUT_ADDON leaves out what nothing can be tested of without the native
 *   addon
 * @returns its exit status
 */
export function jest(args, env = {}) {
  // --experimental-vm-modules: jest loads ES modules with it. Its notice would hide the results.
  const node = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const main = path.join(root, 'node_modules/jest/bin/jest.js');
  return run(process.execPath, [...node, main, ...args], { env: { ...process.env, ...env } });
}

/** What tells jest.config.js that there is no addon. */
export function addonEnv(hasNative) {
  return hasNative ? {} : { BEDROCK_WITHOUT_ADDON: '1' };
}
