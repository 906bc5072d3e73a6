/** swc turns TypeScript into ES modules for the tests; types are checked by tsc, as `npm test` does first. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  // The long suite, `npm run test:all`, has these.
  testPathIgnorePatterns: process.env.BEDROCK_TEST_ALL ? [] : ['\\.long\\.test\\.ts$'],
  setupFiles: ['<rootDir>/test/takes-typescript.js'],
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
  testTimeout: 20_000,
};
