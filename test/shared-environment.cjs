/**
 * One global object and one set of loaded modules for the test files that a process runs.
 *
 * Jest gives each test file both anew: half a second of loading for each that starts a daemon, and
 * memory that Node.js 20 never frees. The modules of this project hold next to nothing of their own,
 * as a process may run many daemons; so they stay from file to file, with those of node_modules.
 * shared-runtime.cjs keeps them; this file keeps the global object that they were loaded into.
 *
 * What a file changes in `process.env` and by jest's fakes is undone after it. A file that needs
 * modules of its own, as it sets what they look at once, begins with `@jest-environment node`.
 */
const fromJest = require('./from-jest.cjs');
const { TestEnvironment } = fromJest('jest-environment-node');

/** What jest-circus has in the global object for one test file: its listeners, and all its tests. */
const OF_A_FILE = ['EVENT_HANDLERS', 'JEST_STATE_SYMBOL'];

let shared;

class SharedEnvironment extends TestEnvironment {
  #env;
  #exit;

  constructor(config, context) {
    super(config, context);
    const { process } = this.global;
    this.#env = { ...process.env };
    this.#exit = process.exit;
  }

  async teardown() {
    this.fakeTimers.useRealTimers();
    this.fakeTimersModern.useRealTimers();
    const { process } = this.global;
    for (const name of Object.keys(process.env)) if (!(name in this.#env)) delete process.env[name];
    Object.assign(process.env, this.#env);
    // Jest wraps it for each file, to tell which one called it.
    process.exit = this.#exit;
    for (const key of Object.getOwnPropertySymbols(this.global))
      if (OF_A_FILE.includes(key.description)) delete this.global[key];
  }
}

/** What jest makes anew for each test file. */
module.exports = function environmentFor(config, context) {
  // Sources may have changed between two runs of a watch, and coverage is counted for each file.
  const { watch, watchAll, collectCoverage } = config.globalConfig;
  if (watch || watchAll || collectCoverage) return new TestEnvironment(config, context);
  shared ??= new SharedEnvironment(config, context);
  return shared;
};
module.exports.SharedEnvironment = SharedEnvironment;
