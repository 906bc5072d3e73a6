/** Random histories, more of them. */
import './model.test.js';
