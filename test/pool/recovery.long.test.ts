/** Recovery, of a million slots. */
import './recovery.test.js';
