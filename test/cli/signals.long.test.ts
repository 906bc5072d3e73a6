/** Each of the signals that stop a daemon, of which the quick test has one, and of the ways through npm. */
import './signals.test.js';
