/** `bedrock start` with all the ways to name a configuration of which the quick test has a sample. */
import './start.test.js';
