/** Stores some pairs, prints all of them where they lie, and counts the runs: `node main.js [KEY VALUE]…`. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { bootstrap } from 'bedrock-node';
import { Pairs } from './pairs.js';

const config = JSON.parse(await readFile(path.join(import.meta.dirname, 'bedrock.json'), 'utf8'));
const daemon = await bootstrap(config, {
  directory: import.meta.dirname,
  listen: false,
  logLevel: 'warning',
});
const pairs = new Pairs(daemon.target('store'));
const given = process.argv.slice(2);
for (let at = 0; at < given.length; at += 2) await pairs.set(given[at] ?? '', given[at + 1] ?? '');
await pairs.forEach((key, value) => {
  process.stdout.write(`${key}=`);
  // The bytes themselves: the text is made from the medium, without a copy between.
  console.log(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString());
});
await daemon.close();
