/** Damaged pools in files, three times as many as in the quick test. */
import './damage.test.js';
