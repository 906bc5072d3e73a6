/** The persistent list through more kills than in the quick test. */
import './persistent-list.test.js';
