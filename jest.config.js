/**
 * swc turns TypeScript into ES modules for the tests; types are checked by the linter, as `npm test` does first.
 *
 * `npm test` runs all but `*.long.test.ts`, and `npm run test:all` runs those; scripts/jest.js describes the variables.
 */
import { availableParallelism } from 'node:os';

const leftOut = process.env.BEDROCK_WITHOUT_ADDON
  ? [
      ['test/native/', 'needs the native addon'],
      ['test/examples/', 'needs the native addon'],
    ]
  : [];

export default {
  // The long tests are few beside what they do, and some look at all that a process holds.
  ...(process.env.BEDROCK_TEST_ALL
    ? { testEnvironment: 'node' }
    : {
        testEnvironment: '<rootDir>/test/shared-environment.cjs',
        runtime: '<rootDir>/test/shared-runtime.cjs',
      }),
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: [
    ...(process.env.BEDROCK_TEST_ALL ? [] : ['\\.long\\.test\\.ts$']),
    ...leftOut.map(([folder]) => `<rootDir>/${folder}`),
  ],
  // Reporters end in this order: jest's closing lines come last.
  reporters: [['<rootDir>/test/skipped-reporter.js', { leftOut }], 'default'],
  testSequencer: '<rootDir>/test/sequencer.js',
  setupFiles: ['<rootDir>/test/set-up.js'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true },
          target: 'es2022',
        },
        module: { type: 'es6' },
        // In files of their own: within the code they would be most of what each test file loads and keeps.
        sourceMaps: true,
      },
    ],
  },
  // The tests are processes, sockets and folders of their own, and some wait for a disk: two more than there are cores leave none idle.
  maxWorkers: availableParallelism() + 2,
  // Node.js 20 never frees an ES module of a vm context. What stays of each test file is a megabyte or two in the quick tests, and all that it
  // loads in the long ones.
  workerIdleMemoryLimit: process.env.BEDROCK_TEST_ALL ? '250MB' : '400MB',
  // Jest ends a worker by force that has not ended half a second after the last test, with a notice as of a leak. A busy machine takes longer.
  workerGracefulExitTimeout: 60_000,
  // It ends what hangs. No test is judged by its time, so it may be far beyond what the slowest machine takes.
  testTimeout: 300_000,
};
