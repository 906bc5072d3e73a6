/** Many lies. */
import './lies.test.js';
