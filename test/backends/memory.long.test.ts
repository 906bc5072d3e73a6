/** The memory backend, with `max_bytes` too by every rule of the contract. */
import './memory.test.js';
