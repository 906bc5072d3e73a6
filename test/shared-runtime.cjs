/**
 * Jest's loader of modules, of which a process has one for all test files in the shared environment.
 *
 * After each file it forgets the modules in the folder test and outside the project, and what did
 * not load; the rest stays. Under a jest of another make it may keep less, never more: what
 * is not found in its tables is loaded anew.
 */
const asyncHooks = require('node:async_hooks');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const fromJest = require('./from-jest.cjs');
const { SharedEnvironment } = require('./shared-environment.cjs');
const { default: Runtime } = fromJest('jest-runtime');

const PROJECT = pathToFileURL(path.dirname(__dirname)).href + '/';
const TESTS = `${PROJECT}test/`;

/** Whether a module stays loaded. @param key a URL, or the name of a module of Node.js */
function isKept(key) {
  if (key.startsWith('file:')) return key.startsWith(PROJECT) && !key.startsWith(TESTS);
  return !key.startsWith('data:') && !key.startsWith('@jest/globals/');
}

const isCircus = (file) => file.includes(`${path.sep}jest-circus${path.sep}`);

let shared;

class SharedRuntime extends Runtime {
  #stores = [];

  /** @param testFile what jest names in its messages */
  begin(testFile) {
    this._testPath = testFile;
    this.esmLoader.testPath = testFile;
    this.executor.testPath = testFile;
  }

  /**
   * Jest-circus makes a store for each test file and never ends it; each one makes every promise of
   * the process a little slower.
   */
  requireInternalModule(from, to) {
    if (!isCircus(from)) return super.requireInternalModule(from, to);
    const { AsyncLocalStorage } = asyncHooks;
    // A value in Node.js 20, and a getter in later versions.
    const own = Object.getOwnPropertyDescriptor(asyncHooks, 'AsyncLocalStorage');
    const stores = this.#stores;
    const value = class extends AsyncLocalStorage {
      constructor(...args) {
        super(...args);
        stores.push(this);
      }
    };
    Object.defineProperty(asyncHooks, 'AsyncLocalStorage', { configurable: true, enumerable: true, value });
    try {
      return super.requireInternalModule(from, to);
    } finally {
      Object.defineProperty(asyncHooks, 'AsyncLocalStorage', own);
    }
  }

  teardown() {
    for (const store of this.#stores.splice(0)) store.disable();
    this.restoreAllMocks();
    this.mockState.clear();
    const { esModuleRegistry, moduleRegistry, internalModuleRegistry } = this.registries;
    for (const [key, module] of esModuleRegistry)
      if (!isKept(key) || module.status !== 'evaluated') esModuleRegistry.delete(key);
    for (const file of moduleRegistry.keys())
      if (!isKept(pathToFileURL(file).href)) moduleRegistry.delete(file);
    // What counts the tests of a file starts anew.
    for (const file of internalModuleRegistry.keys()) if (isCircus(file)) internalModuleRegistry.delete(file);
    this.jestGlobals.clearJestObjectCache();
    this.fileCache.clear();
    this.testMainModule.reset();
    this.loggedReferenceErrors.clear();
    // Modules that stay may import others between two test files.
    this.testState.state = 'loading';
  }
}

/** What jest makes anew for each test file. */
module.exports = function runtimeFor(config, environment, ...rest) {
  if (!(environment instanceof SharedEnvironment)) return new Runtime(config, environment, ...rest);
  shared ??= new SharedRuntime(config, environment, ...rest);
  shared.begin(rest.at(-2));
  return shared;
};
