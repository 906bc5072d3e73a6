/** That the power-failure tests can fail, in every mode. */
import './flaws.test.js';
