/** The conformance suite can fail, and finds no fault in right targets, by all of its rules. */
import './wrong-targets.test.js';
