/**
 * The README keeps its word: every block of it runs, and prints what it says. The long test has the
 * pages of docs/ as well.
 */
import { describePages } from './describe-pages.js';

describePages(['README.md']);
