/**
 * Writes the API reference as HTML: build/api/index.html. typedoc makes it from the docstrings of
 * the exported names, and a fault in a docstring fails it. A folder as argument is used instead of
 * build/api.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Application, OptionDefaults } from 'typedoc';
import { root } from './run.js';
import { build } from './build.js';
import { setUp } from './setup.js';

const given = process.argv.slice(2).find((argument) => !argument.startsWith('-'));
const folder = path.resolve(given ?? path.join(root, 'build/api'));
process.chdir(root);
await setUp();
// The types of the schemas are part of it.
await build();

const { exports } = JSON.parse(readFileSync('package.json', 'utf8'));
const application = await Application.bootstrap({
  entryPoints: Object.values(exports)
    .filter(({ types }) => types !== undefined)
    .map(({ types }) => types.replace('./dist/', '').replace('.d.ts', '.ts')),
  tsconfig: 'tsconfig.build.json',
  readme: 'none',
  out: folder,
  excludeInternal: true,
  excludePrivate: true,
  // The sources have no public address yet that pages could link to.
  disableSources: true,
  // Types are checked by "npm run lint".
  skipErrorChecking: true,
  blockTags: [...OptionDefaults.blockTags, '@minItems', '@maxItems'],
  treatWarningsAsErrors: true,
});
const project = await application.convert();
if (project !== undefined) {
  application.validate(project);
  await application.generateOutputs(project);
}
if (project === undefined || application.logger.hasErrors() || application.logger.hasWarnings())
  process.exitCode = 1;
else console.log(`${path.join(folder, 'index.html')} is written`);
