/** What ends when: more rounds, and a mapping of 1 TiB in all its windows. */
import './lifetime.test.js';
