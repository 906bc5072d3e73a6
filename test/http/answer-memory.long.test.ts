/** Answers that nobody reads, with each kind of them for which connections are closed. */
import './answer-memory.test.js';
