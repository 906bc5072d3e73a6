/** The words of the suite for all of the wrong targets of which the quick test has a sample. */
import './messages.test.js';
