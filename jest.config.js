/**
 * swc turns TypeScript into ES modules for the tests; types are checked by tsc, as `npm test` does first.
 *
 * `npm test` runs all but `*.long.test.ts`, and `npm run test:all` runs those; scripts/jest.js describes the variables.
 */
const leftOut = process.env.BEDROCK_WITHOUT_ADDON
  ? [
      ['test/native/', 'needs the native addon'],
      ['test/examples/', 'needs the native addon'],
    ]
  : [];

export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: [
    ...(process.env.BEDROCK_TEST_ALL ? [] : ['\\.long\\.test\\.ts$']),
    ...leftOut.map(([folder]) => `<rootDir>/${folder}`),
  ],
  // Reporters end in this order: jest's closing lines come last.
  reporters: [['<rootDir>/test/skipped-reporter.js', { leftOut }], 'default'],
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
      },
    ],
  },
  // The tests are processes and pure computation, with sockets and folders of their own: one at a time leaves cores idle.
  maxWorkers: '100%',
  // It ends what hangs. No test is judged by its time, so it may be far beyond what the slowest machine takes.
  testTimeout: 300_000,
};
