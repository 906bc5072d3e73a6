/** The README and the pages of docs/ keep their word: every block of them runs, and prints what they say. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { REPOSITORY } from './clone.js';
import { describePages } from './describe-pages.js';

const pages = readdirSync(path.join(REPOSITORY, 'docs')).filter((name) => name.endsWith('.md'));

describePages(['README.md', ...pages.toSorted().map((name) => `docs/${name}`)]);
