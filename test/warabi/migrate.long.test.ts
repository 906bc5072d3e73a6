/** All combinations of backends, protocols and cuts. */
import './migrate.test.js';
