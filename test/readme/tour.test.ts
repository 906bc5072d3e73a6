/** The README's first steps: its two commands, and the tour with curl. The long test has all of it, and the pages of docs/. */
import { describePages } from './describe-pages.js';

describePages(['README.md'], 'From the shell');
