/**
 * Counts the words of files, one step a file, and then adds them up: `node main.js RUN FILE…`. Kill it and start it again: files that
 * were counted are not read again.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { bootstrap } from 'bedrock-node';
import { Workflow } from './workflow.js';

const [run, ...given] = process.argv.slice(2);
// Each file is one step.
const files = [...new Set(given)];
if (run === undefined || files.length === 0) {
  console.error('usage: node main.js RUN FILE…');
  process.exit(2);
}

const config = JSON.parse(await readFile(path.join(import.meta.dirname, 'bedrock.json'), 'utf8'));
const daemon = await bootstrap(config, {
  directory: import.meta.dirname,
  listen: false,
  logLevel: 'warning',
});
const workflow = new Workflow(daemon.target('store'), run);
let sum = 0;
for (const file of files) {
  const { words } = await workflow.step(`count ${file}`, async () => {
    console.log(`counting ${file}`);
    // Real steps take longer than this one.
    await delay(Number(process.env.STEP_MS ?? 0));
    return {
      words: String(await readFile(file))
        .split(/\s+/)
        .filter(Boolean).length,
    };
  });
  sum += words;
}
console.log(`${sum} words in ${files.length} files`);
await daemon.close();
