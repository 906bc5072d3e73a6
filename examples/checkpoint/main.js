/**
 * Runs the simulation up to a step, from where it was left: `node main.js STEPS [SIDE]`.
 *
 * The checkpoint is in the pool of bedrock.json, or, with `BEDROCK_ADDRESS`, at the provider `store` of a daemon.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { bootstrap, connect } from 'bedrock-node';
import { Checkpoint } from './checkpoint.js';
import { Plate } from './heat.js';

/** Steps between two checkpoints. */
const EVERY = 50;

const [steps = 0, side = 64] = process.argv.slice(2).map(Number);
if (!(Number.isSafeInteger(steps) && steps > 0 && Number.isSafeInteger(side) && side > 2)) {
  console.error('usage: node main.js STEPS [SIDE]');
  process.exit(2);
}

const { BEDROCK_ADDRESS } = process.env;
const host = BEDROCK_ADDRESS === undefined ? await openPool() : await connect(BEDROCK_ADDRESS);
const checkpoint = new Checkpoint(host.target('store'), 'heat');

const saved = await checkpoint.load();
const cells = saved && new Float64Array(Uint8Array.from(saved.state).buffer);
const plate = new Plate(side, cells);
const first = saved?.step ?? 0;
console.log(saved === undefined ? 'starting' : `resuming from step ${first}`);
for (let step = first + 1; step <= steps; step++) {
  plate.step();
  if (step % EVERY === 0 || step === steps) {
    await checkpoint.save({ step, state: new Uint8Array(plate.cells.buffer) });
    console.log(`step ${step}: ${plate.mean.toFixed(3)} degrees on average`);
  }
}
await host.close();

async function openPool() {
  const config = JSON.parse(await readFile(path.join(import.meta.dirname, 'bedrock.json'), 'utf8'));
  return bootstrap(config, { directory: import.meta.dirname, listen: false, logLevel: 'warning' });
}
