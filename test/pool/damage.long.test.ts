/** Thousands of damaged pools, of which the quick test has hundreds. */
import './damage.test.js';
