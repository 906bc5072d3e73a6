/**
 * A catalogue of the results of a program, on the command line:
 * `node main.js add FILE LABEL…`, `node main.js find LABEL`, `node main.js get NUMBER`, `node main.js remove NUMBER`, `node main.js labels`.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { bootstrap } from 'bedrock-node';
import { Catalogue } from './catalogue.js';

const [command = '', ...given] = process.argv.slice(2);
const config = JSON.parse(await readFile(path.join(import.meta.dirname, 'bedrock.json'), 'utf8'));
const daemon = await bootstrap(config, {
  directory: import.meta.dirname,
  listen: false,
  logLevel: 'warning',
});
const catalogue = new Catalogue(daemon.target('store'));
const [first = ''] = given;
switch (command) {
  case 'add':
    console.log(`result ${await catalogue.add(await readFile(first), given.slice(1))}`);
    break;
  case 'find':
    for await (const number of catalogue.withLabel(first)) {
      const result = await catalogue.get(number);
      if (result !== undefined)
        console.log(`result ${number}: ${result.bytes.length} bytes, ${result.labels.join(', ')}`);
    }
    break;
  case 'get':
    process.stdout.write((await catalogue.get(Number(first)))?.bytes ?? '');
    break;
  case 'remove':
    console.log((await catalogue.remove(Number(first))) ? 'removed' : 'there is no such result');
    break;
  case 'labels':
    console.log((await catalogue.labels()).join('\n'));
    break;
  default:
    console.error('usage: node main.js add FILE LABEL… | find LABEL | get NUMBER | remove NUMBER | labels');
    process.exitCode = 2;
}
await daemon.close();
