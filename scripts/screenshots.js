/**
 * Takes the screenshots in docs/dashboard/: one of each view of the page, with a busy daemon. It
 * needs Chromium. The screenshots are for readers; test/http/dashboard.long.test.ts has the tests
 * of the page.
 *
 *     node scripts/screenshots.js [view…]
 */
import { existsSync, mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { build } from './build.js';
import { isCommand, root } from './run.js';

const FOLDERS = (process.env.PATH ?? '').split(path.delimiter);
const BROWSER = ['chromium', 'chromium-browser', 'google-chrome'].find(isCommand);

const click = (button, region) => async (page) => {
  await page.getByRole('button', { name: button }).click();
  await page.getByRole('region', { name: region, exact: true }).waitFor();
};

/** `seconds` lets the charts fill. */
const VIEWS = {
  overview: { place: '/', seconds: 25 },
  'overview-dark': { place: '/', seconds: 10, options: { colorScheme: 'dark' } },
  'overview-phone': { place: '/', seconds: 5, options: { viewport: { width: 390, height: 844 } } },
  provider: {
    place: '/#/provider/results',
    seconds: 3,
    options: { viewport: { width: 1200, height: 1300 } },
  },
  connections: { place: '/#/connections', seconds: 1 },
  contents: { place: '/#/contents/results/0?prefix=run%2F17%2F' },
  preview: { place: '/#/contents/results/0', act: click('Preview notes.txt', 'Text') },
  operations: { place: '/#/operations', seconds: 1 },
  configuration: { place: '/#/configuration', act: click('Evaluate', 'Result') },
};

if (BROWSER === undefined) {
  console.error('The pictures need Chromium: apt-get install chromium');
  process.exit(1);
}
process.chdir(root);
await build();
const { bootstrap, connect } = await import('../dist/core/index.js');
const folder = mkdtempSync(path.join(os.tmpdir(), 'bedrock-screenshots-'));
const daemon = await bootstrap(configuration(), { logLevel: 'error', directory: folder });
const service = await connect(daemon.address);
let browser;
let isOver = false;
try {
  await fill();
  const working = work();
  browser = await chromium.launch({
    executablePath: FOLDERS.map((one) => path.join(one, BROWSER)).find((file) => existsSync(file)),
    args: ['--no-sandbox'],
  });
  mkdirSync('docs/dashboard', { recursive: true });
  const asked = process.argv.slice(2);
  for (const [name, view] of Object.entries(VIEWS))
    if (asked.length === 0 || asked.includes(name)) await take(name, view);
  isOver = true;
  await working;
} finally {
  isOver = true;
  await browser?.close();
  await service.close();
  await daemon.close();
  rmSync(folder, { recursive: true, force: true });
}

function configuration() {
  const store = (name, id, target) => ({ name, type: 'warabi', provider_id: id, config: { target } });
  return {
    margo: { mercury: { address: 'http://127.0.0.1:0' } },
    bedrock: { resp: { address: '127.0.0.1:0' } },
    providers: [
      store('results', 1, {
        type: 'file',
        config: { path: 'results.pool', create_if_missing_with_size: 64 * 2 ** 20 },
      }),
      store('cache', 2, { type: 'memory', config: { max_bytes: 128 * 2 ** 20 } }),
    ],
  };
}

async function fill() {
  const results = service.target('results');
  const text = 'Run 17: the residual stays below 1e-9 from step 40 on.\nRun 18: same grid, half the step.\n';
  await results.put('notes.txt', Buffer.from(text));
  for (const run of [17, 18])
    for (let step = 0; step < 8; step++)
      await results.put(
        `run/${run}/step-${String(step).padStart(3, '0')}`,
        Buffer.alloc(500_000 + 40_000 * step, step),
      );
  // Holes for the map of the space.
  const ids = [];
  for (let index = 0; index < 400; index++) ids.push(await results.create(4096 * (1 + (index % 7))));
  for (const id of ids.filter((_, index) => index % 3 === 1)) await results.erase(id);
  const options = { method: 'POST', headers: { 'content-type': 'application/json' } };
  const body = JSON.stringify({ path: path.join(folder, 'snapshot') });
  await fetch(`${daemon.address}/v1/providers/results/snapshot`, { ...options, body });
}

/** Reads and writes, more at some times than at others. */
async function work() {
  const cache = service.target('cache');
  const id = await cache.create(2 ** 20);
  const results = service.target('results');
  for (let round = 0; !isOver; round++) {
    const many = 8 + Math.round(6 * Math.sin(round / 12));
    const reads = Array.from({ length: many }, (_, index) => cache.read(id, index * 4096, 4096));
    const writes = Array.from({ length: many / 2 }, (_, index) =>
      cache.write(id, index * 8192, Buffer.alloc(8192)),
    );
    await Promise.all([...reads, ...writes]);
    if (round % 10 === 0) await results.put('run/18/latest', Buffer.alloc(200_000));
    await delay(40);
  }
}

async function take(name, { place, seconds = 0, options, act }) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
  const page = await context.newPage();
  await page.goto(`${daemon.address}${place}`);
  await page.getByText('up ').first().waitFor();
  await act?.(page);
  await delay(1500 + seconds * 1000);
  await page.screenshot({ path: `docs/dashboard/${name}.png` });
  await context.close();
  console.log(`docs/dashboard/${name}.png`);
}
