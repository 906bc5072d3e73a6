/** The examples that are packages: the tests of each pass. */
import { EXAMPLES, itPassesItsOwnTests } from './own-tests.js';

for (const name of EXAMPLES) itPassesItsOwnTests(name);
