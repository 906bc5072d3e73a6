/** Files that may not grow, with all the commands of which the quick test has a sample. */
import './system-errors.test.js';
