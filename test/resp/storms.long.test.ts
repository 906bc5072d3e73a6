/** As the quick test, with more storms. */
import './storms.test.js';
