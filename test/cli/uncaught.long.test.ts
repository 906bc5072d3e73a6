/** What nobody catches in a library, with all the ways of which the quick test has a sample. */
import './uncaught.test.js';
