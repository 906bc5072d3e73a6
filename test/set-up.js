/** What every test file begins with. */
// Jest compiles TypeScript, so that a library may be written in it here, whatever Node would say.
Object.defineProperty(process, 'features', {
  value: { ...process.features, typescript: 'transform' },
  configurable: true,
});

// Jest has 100 calls recorded for each error. Most errors here are answers that a test asks for, and many thousands of them.
Error.stackTraceLimit = 20;
