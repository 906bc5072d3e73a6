/** Pages in a real browser (Chromium): what those of an allowed origin can do, and that those of another can do nothing. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { needs } from '../fixtures/needs.js';
import { closeDaemons, runDaemon, type RunningDaemon } from './running-daemon.js';

const BROWSER = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);
const chromium = needs('Chromium', BROWSER !== undefined);

/** Chromium takes seconds to start, and more on a busy machine. */
const PATIENCE_MS = 180_000;

/** A site with one page, which runs a script and reports what came of it. */
class Site {
  #script = '';
  #reported: ((report: unknown) => void) | undefined;
  readonly #server: Server = createServer((request, response) => {
    if (request.method === 'GET') {
      const page = `<!doctype html><script type="module">${this.#script}</script>`;
      response.setHeader('content-type', 'text/html').end(request.url === '/' ? page : '');
      return;
    }
    let text = '';
    request.on('data', (piece: Buffer) => (text += piece.toString()));
    request.on('end', () => {
      response.end();
      this.#reported?.(JSON.parse(text));
    });
  });

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** @param body of an async function that gives the report */
  run(body: string): Promise<unknown> {
    this.#script = `
      const report = await (async () => { ${body} })().catch((error) => String(error));
      await fetch('/report', { method: 'POST', body: JSON.stringify(report) });`;
    return new Promise((resolve) => (this.#reported = resolve));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

chromium.describe('a page in Chromium', () => {
  const allowed = new Site();
  const foreign = new Site();
  let daemon: RunningDaemon;
  let profile: string;
  let browser: ChildProcess | undefined;

  beforeAll(async () => {
    await Promise.all([allowed.open(), foreign.open()]);
    daemon = await runDaemon({ http: { allowed_origins: [allowed.origin] } });
    profile = await mkdtemp(path.join(tmpdir(), 'bedrock-browser-'));
  });
  afterEach(async () => {
    if (browser?.pid === undefined) return;
    const ended = new Promise((resolve) => browser?.once('exit', resolve));
    // The browser is a group of processes.
    process.kill(-browser.pid, 'SIGKILL');
    await ended;
    browser = undefined;
  });
  afterAll(async () => {
    await closeDaemons();
    await Promise.all([allowed.close(), foreign.close()]);
    await rm(profile, { recursive: true, force: true, maxRetries: 10 });
  });

  function visit(site: Site, body: string): Promise<unknown> {
    const reported = site.run(body);
    const options = [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--user-data-dir=${profile}`,
    ];
    browser = spawn(BROWSER ?? '', [...options, site.origin], { stdio: 'ignore', detached: true });
    return reported;
  }

  const regions = (): string => JSON.stringify(`${daemon.url}/v1/providers/store/regions`);

  it(
    'of an allowed origin makes, writes, reads in part and erases a region',
    async () => {
      const report = await visit(
        allowed,
        `const made = await fetch(${regions()}, { method: 'POST', body: 'hello, page' });
         const { id } = await made.json();
         const region = ${regions()} + '/' + id;
         const put = await fetch(region + '?offset=7', { method: 'PUT', body: 'PAGE' });
         const part = await fetch(region, { headers: { range: 'bytes=5-10' } });
         const text = await part.text();
         const range = part.headers.get('content-range');
         const erased = await fetch(region, { method: 'DELETE' });
         const gone = await fetch(region);
         return [made.status, made.headers.get('location').endsWith(id), put.status, part.status, text, range,
           erased.status, gone.status, (await gone.json()).code];`,
      );
      expect(report).toEqual([201, true, 204, 206, ', PAGE', 'bytes 5-10/11', 204, 404, 'REGION_NOT_FOUND']);
    },
    PATIENCE_MS,
  );

  it(
    'of another origin reads nothing and changes nothing',
    async () => {
      const kept = await daemon.regionOf(Buffer.from('kept'));
      const before = await daemon.stats();
      const region = JSON.stringify(daemon.url + kept);
      const report = await visit(
        foreign,
        `const tried = [
           [${region}, {}],
           [${regions()}, { method: 'POST', body: 'hello' }],
           [${regions()}, { method: 'POST', body: 'hello', mode: 'no-cors' }],
           [${region}, { method: 'PUT', body: 'LOST' }],
           [${region}, { method: 'DELETE' }],
           [${JSON.stringify(daemon.url)} + '/v1/shutdown', { method: 'POST', mode: 'no-cors' }],
         ].map(([url, options]) => fetch(url, options).then((answer) => answer.type, (error) => error.name));
         return Promise.all(tried);`,
      );
      // An opaque answer shows nothing, not even that it is a refusal.
      expect(report).toEqual(['TypeError', 'TypeError', 'opaque', 'TypeError', 'TypeError', 'opaque']);
      expect(await daemon.stats()).toMatchObject({ regions: before.regions, usedBytes: before.usedBytes });
      expect((await daemon.call('GET', kept)).bytes.toString()).toBe('kept');
    },
    PATIENCE_MS,
  );
});
