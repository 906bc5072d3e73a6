/** As the quick test, with more cases. */
import './thrown-values.test.js';
