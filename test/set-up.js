/** What every test file begins with. */
import { setFlagsFromString } from 'node:v8';

// Jest compiles TypeScript, so that a library may be written in it here, whatever Node would say.
Object.defineProperty(process, 'features', {
  value: { ...process.features, typescript: 'transform' },
  configurable: true,
});

// Jest has 100 calls recorded for each error. Most errors here are answers that a test asks for, and many thousands of them.
Error.stackTraceLimit = 20;

// Each test file compiles the modules that it imports anew, so functions that are optimized as early as in a daemon rarely pay for it:
// the optimizing compiler took a fifth of the whole run. It comes later here; 67,584 bytes of bytecode is the engine's own budget.
setFlagsFromString('--interrupt-budget=1000000');
