/** The same as `pool-copy.test.ts`, and a region larger than the memory that a copy may use. */
import './pool-copy.test.js';
