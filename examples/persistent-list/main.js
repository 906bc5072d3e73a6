/**
 * A list to try: `node main.js FILE add TEXT…`, `node main.js FILE rm INDEX`, `node main.js FILE` prints it.
 */
import { PersistentList } from './list.js';

const [file, command, ...args] = process.argv.slice(2);
if (file === undefined) {
  console.error('usage: node main.js FILE [add TEXT… | rm INDEX]');
  process.exit(2);
}

const list = await PersistentList.open(file);
if (command === 'add') for (const text of args) await list.append(text);
if (command === 'rm') await list.remove(Number(args[0]));
for (const [index, text] of [...list].entries()) console.log(`${index}  ${text}`);
await list.close();
