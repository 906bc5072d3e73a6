/** Each of the signals that stop a daemon, of which the quick test has one. */
import './signals.test.js';
