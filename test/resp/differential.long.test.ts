/** Many sequences; see the file that is imported. */
import './differential.test.js';
