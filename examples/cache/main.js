/**
 * Prints the number of primes below each limit: `node main.js LIMIT…`. Counting takes a while, so the results are cached, and a second
 * run has them at once.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { bootstrap } from 'bedrock-node';
import { Cache } from './cache.js';

const limits = process.argv.slice(2).map(Number);
if (limits.length === 0 || !limits.every((limit) => Number.isSafeInteger(limit) && limit > 1)) {
  console.error('usage: node main.js LIMIT…');
  process.exit(2);
}

const config = JSON.parse(await readFile(path.join(import.meta.dirname, 'bedrock.json'), 'utf8'));
const daemon = await bootstrap(config, {
  directory: import.meta.dirname,
  listen: false,
  logLevel: 'warning',
});
const cache = await Cache.open(daemon.target('store'));
for (const limit of limits) {
  let how = 'cached';
  const bytes = await cache.get(`primes/${limit}`, () => {
    how = 'counted';
    return Buffer.from(String(countPrimes(limit)));
  });
  console.log(`${String(Buffer.from(bytes))} primes below ${limit} (${how})`);
}
await daemon.close();

/** @param {number} limit */
function countPrimes(limit) {
  const composite = new Uint8Array(limit);
  let count = 0;
  for (let number = 2; number < limit; number++) {
    if (composite[number] === 1) continue;
    count++;
    for (let multiple = number * number; multiple < limit; multiple += number) composite[multiple] = 1;
  }
  return count;
}
