/** What the daemon needs beside regions larger than those of the quick test. */
import './memory-bound.test.js';
