/** The slot table, with a million slots and longer histories. */
import './slot-table.test.js';
