/** As the quick test, with more bytes. */
import './transfers.test.js';
