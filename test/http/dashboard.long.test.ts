/** The page of the daemon in a real browser (Chromium): what it shows and does, who can use it, and what it must not let through. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import axe from 'axe-core';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { needs } from '../fixtures/needs.js';
import { closeSecured, Secured } from '../security/secured-daemon.js';
import { closeDaemons, memoryStore, runDaemon, type RunningDaemon } from './running-daemon.js';

const BROWSER = (process.env.PATH ?? '')
  .split(path.delimiter)
  .flatMap((folder) =>
    ['chromium', 'chromium-browser', 'google-chrome'].map((name) => path.join(folder, name)),
  )
  .find((file) => existsSync(file));
const inChromium = needs('Chromium', BROWSER !== undefined);

/** Chromium takes seconds to start, and more on a busy machine. */
const PATIENCE_MS = 180_000;

const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
/** A name that would be a script if it became markup. */
const NASTY = '<img src=x onerror="document.title=1">';

const VIEWS = {
  Overview: '/',
  'Provider store': '/#/provider/store',
  'Provider disk': '/#/provider/disk',
  Connections: '/#/connections',
  Contents: '/#/contents',
  'Contents of store': '/#/contents/store/0',
  Operations: '/#/operations',
  Configuration: '/#/configuration',
};

inChromium.describe('the page in Chromium', () => {
  let daemon: RunningDaemon;
  let browser: Browser;
  let folder: string;
  let context: BrowserContext | undefined;
  /** What must not be: messages of errors, violations of the policy, requests to other sites. */
  let faults: string[];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'bedrock-page-'));
    const pool = { path: path.join(folder, 'disk.pool'), create_if_missing_with_size: 2 ** 24 };
    const disk = { name: 'disk', type: 'warabi', config: { target: { type: 'file', config: pool } } };
    daemon = await runDaemon({
      providers: [memoryStore('store', 42, { max_bytes: 2 ** 24 }), { ...disk, provider_id: 43 }],
    });
    browser = await chromium.launch({ executablePath: BROWSER ?? '', args: ['--no-sandbox'] });
    const store = daemon.daemon.target('store');
    await store.put('run/17/mesh', Buffer.from('a mesh'));
    await store.put('run/18', Buffer.from([0, 255, 1]));
    await store.put('picture', PIXEL);
    await store.put(NASTY, Buffer.from('<script>document.title = 2</script>'));
    await store.createAndWrite(Buffer.from('without a name'));
    await daemon.call('GET', '/v1/providers/store/names/picture');
    await daemon.call('GET', '/v1/providers/store/names/nobody');
  }, PATIENCE_MS);
  afterEach(async () => {
    await context?.close();
    context = undefined;
  });
  afterAll(async () => {
    await browser.close();
    await closeDaemons();
    await closeSecured();
    await rm(folder, { recursive: true, force: true });
  });

  async function open(place: string, options: BrowserContextOptions = {}): Promise<Page> {
    context = await browser.newContext({ acceptDownloads: true, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    faults = [];
    page.on('pageerror', (error) => faults.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text());
    });
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(daemon.url) && !url.startsWith('blob:')) faults.push(url);
    });
    await page.goto(`${daemon.url}${place}`);
    await page.getByRole('status').filter({ hasText: 'up ' }).waitFor();
    return page;
  }

  const names = (page: Page): Promise<string[]> => page.locator('tbody td.name').allTextContents();

  it.each(Object.entries(VIEWS))(
    '%s: loads cleanly, and axe-core finds nothing, light and dark, wide and narrow',
    async (title, place) => {
      for (const colorScheme of ['light', 'dark'] as const)
        for (const width of [1200, 360]) {
          const page = await open(place, { colorScheme, viewport: { width, height: 800 } });
          await page.getByRole('heading', { name: title, exact: true }).waitFor();
          await page.locator('main > div').first().waitFor();
          // Past the policy of the page, which would not have it.
          await page.evaluate(axe.source);
          const { violations } = await page.evaluate<axe.AxeResults>('axe.run()');
          expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
          expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
          expect(faults).toEqual([]);
          await context?.close();
        }
    },
    PATIENCE_MS,
  );

  it(
    'shows figures that change, without losing the focus',
    async () => {
      const page = await open('/');
      const link = page.getByRole('link', { name: 'store' });
      await link.focus();
      const row = page.getByRole('row').filter({ has: link });
      const before = Number(await row.getByRole('cell').nth(4).textContent());
      await daemon.daemon.target('store').create(100);
      await row.getByRole('cell', { name: String(before + 1), exact: true }).waitFor();
      expect(await page.evaluate('document.activeElement.textContent')).toBe('store');
      await page.locator('figure canvas').first().waitFor();
      expect(faults).toEqual([]);
    },
    PATIENCE_MS,
  );

  it(
    'can be walked through with the keyboard',
    async () => {
      const page = await open('/');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      expect(await page.evaluate('document.activeElement.id')).toBe('main');
      await page.getByRole('link', { name: 'Contents', exact: true }).focus();
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Contents', exact: true }).waitFor();
      expect(await page.evaluate('document.activeElement.textContent')).toBe('Contents');
      await page.getByRole('link', { name: 'store' }).waitFor();
      await page.keyboard.press('Tab');
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Contents of store' }).waitFor();
    },
    PATIENCE_MS,
  );

  it(
    'shows names as a tree, and takes none of them for markup',
    async () => {
      const page = await open('/#/contents/store/0');
      await page.getByRole('link', { name: 'run/', exact: true }).waitFor();
      expect(await names(page)).toEqual(['run/', NASTY, 'picture']);
      await page.getByRole('link', { name: 'run/', exact: true }).click();
      await page.getByRole('link', { name: '17/', exact: true }).waitFor();
      expect(await names(page)).toEqual(['17/', '18']);
      await page.getByRole('link', { name: '17/', exact: true }).click();
      await page.getByText('mesh', { exact: true }).waitFor();
      await page.getByRole('link', { name: 'all names' }).click();
      await page.getByRole('button', { name: `Preview ${NASTY}` }).click();
      await page.getByRole('region', { name: 'Text' }).waitFor();
      expect(await page.getByRole('region', { name: 'Text' }).textContent()).toBe(
        '<script>document.title = 2</script>',
      );
      expect(await page.title()).toBe('Contents of store – bedrock');
      expect(faults).toEqual([]);
    },
    PATIENCE_MS,
  );

  it(
    'previews pictures, and other bytes as hexadecimal digits',
    async () => {
      const page = await open('/#/contents/store/0');
      await page.getByRole('button', { name: 'Preview picture' }).click();
      const picture = page.getByRole('img', { name: 'Picture in picture' });
      await picture.waitFor();
      const handle = await picture.elementHandle();
      await page.waitForFunction(
        (node) => (node as { naturalWidth?: number } | null)?.naturalWidth === 1,
        handle,
      );
      await page.getByRole('button', { name: 'Hex' }).click();
      expect(await page.getByRole('region', { name: 'Hexadecimal digits' }).textContent()).toMatch(
        /^00000000 {2}89 50 4e 47 .*\|\.PNG/,
      );
      await page.keyboard.press('Escape');
      await page.goto(`${daemon.url}/#/contents/store/0?prefix=run%2F`);
      await page.getByRole('button', { name: 'Preview run/18' }).click();
      expect(await page.getByRole('region', { name: 'Hexadecimal digits' }).textContent()).toMatch(
        /00 ff 01/,
      );
      expect(await page.getByRole('button', { name: 'Text' }).count()).toBe(0);
      expect(faults).toEqual([]);
    },
    PATIENCE_MS,
  );

  it(
    'uploads, refuses to replace unasked, replaces, downloads and deletes after a question',
    async () => {
      const file = path.join(folder, 'up loaded?.txt');
      const contents = async (): Promise<string> =>
        (await daemon.call('GET', '/v1/providers/store/names/new/up%20loaded%3F.txt')).bytes.toString();
      await writeFile(file, 'first');
      const page = await open('/#/contents/store/0?prefix=new%2F');
      const upload = async (): Promise<void> => {
        await page.getByLabel('File').setInputFiles(file);
        await page.getByRole('button', { name: 'Upload', exact: true }).click();
      };
      await upload();
      await page.getByText('up loaded?.txt', { exact: true }).waitFor();
      expect(await contents()).toBe('first');

      await writeFile(file, 'second');
      await upload();
      await page.getByRole('alert').filter({ hasText: 'exists already' }).waitFor();
      expect(await contents()).toBe('first');
      await page.getByLabel('replace').check();
      await page.getByRole('button', { name: 'Upload', exact: true }).click();
      await page.getByRole('cell', { name: '6 B', exact: true }).waitFor();
      expect(await contents()).toBe('second');

      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: 'Download new/up loaded?.txt' }).click(),
      ]);
      expect(await readFile(await download.path(), 'utf8')).toBe('second');

      const erase = page.getByRole('button', { name: 'Delete new/up loaded?.txt' });
      await erase.click();
      await page.getByRole('button', { name: 'Cancel' }).click();
      expect(await contents()).toBe('second');
      await erase.click();
      await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
      await page.getByText('Nothing here.').waitFor();
      expect((await daemon.call('GET', '/v1/providers/store/names/new/up%20loaded%3F.txt')).status).toBe(404);
    },
    PATIENCE_MS,
  );

  it(
    'deletes nothing but what it has shown',
    async () => {
      const store = daemon.daemon.target('store');
      await store.put('moved', Buffer.from('shown'));
      const page = await open('/#/contents/store/0');
      await page.getByRole('button', { name: 'Delete moved' }).click();
      await store.put('moved', Buffer.from('newer'));
      await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
      await page.getByRole('alert').filter({ hasText: 'PRECONDITION_FAILED' }).waitFor();
      expect((await daemon.call('GET', '/v1/providers/store/names/moved')).bytes.toString()).toBe('newer');
      await daemon.call('DELETE', '/v1/providers/store/names/moved');
    },
    PATIENCE_MS,
  );

  it(
    'lists regions by their IDs too',
    async () => {
      const page = await open('/#/contents/store/0?by=id');
      const ids = (await daemon.daemon.target('store').list({ limit: 100 })).regions.map(({ id }) =>
        id.toString(),
      );
      await page.getByText(ids[0] ?? '', { exact: true }).waitFor();
      expect((await names(page)).toSorted()).toEqual(ids.toSorted());
    },
    PATIENCE_MS,
  );

  it(
    'shows the configuration, evaluates queries, and shows their errors',
    async () => {
      const page = await open('/#/configuration');
      await page
        .getByRole('region', { name: 'Running configuration' })
        .filter({ hasText: '"store"' })
        .waitFor();
      await page.getByLabel('JSONata expression').fill('$.providers[0].name');
      await page.getByRole('button', { name: 'Evaluate' }).click();
      await page.getByRole('region', { name: 'Result' }).waitFor();
      expect(await page.getByRole('region', { name: 'Result' }).textContent()).toBe('"store"');
      await page.getByLabel('JSONata expression').fill('$.(');
      await page.getByRole('button', { name: 'Evaluate' }).click();
      await page.getByRole('alert').filter({ hasText: 'INVALID_ARGUMENT' }).waitFor();
    },
    PATIENCE_MS,
  );

  it(
    'shows a map of the space, whose buckets can be looked at with the keyboard',
    async () => {
      const disk = daemon.daemon.target('disk');
      const ids = [];
      for (let index = 0; index < 9; index++) ids.push(await disk.create(2 ** 20));
      for (const id of ids.filter((_, index) => index % 2 === 1)) await disk.erase(id);
      const page = await open('/#/provider/disk');
      const map = page.getByRole('slider', { name: 'Map of the space of target 0' });
      await page.getByText(/^16\.0 MiB, of which .* are free, in \d+ pieces; 5 regions\. /).waitFor();
      await map.focus();
      await page.keyboard.press('End');
      await page.getByText('16.0 MiB to 16.0 MiB: 0.0 % used, 0 regions begin there').waitFor();
      expect(await map.getAttribute('aria-valuenow')).toBe('1023');
      await page.keyboard.press('Home');
      await page.getByText('0 B to 16.0 KiB: 100.0 % used,').waitFor();
      // Something is drawn: squares that are used and squares that are not.
      const colours = await map.evaluate((node) => {
        const canvas = node as unknown as {
          width: number;
          height: number;
          getContext(kind: string): { getImageData(...at: number[]): { data: Uint8ClampedArray } };
        };
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        const seen = new Set<string>();
        for (let at = 0; at < data.length; at += 4) seen.add(data.slice(at, at + 4).join());
        return seen.size;
      });
      expect(colours).toBeGreaterThanOrEqual(3);
      await page.getByText('Free pieces by size').click();
      await page.getByRole('table', { name: 'Free pieces of target 0' }).waitFor();
      for (const id of ids.filter((_, index) => index % 2 === 0)) await disk.erase(id);
      expect(faults).toEqual([]);
    },
    PATIENCE_MS,
  );

  it(
    'shows the connections',
    async () => {
      const page = await open('/#/connections');
      await page.getByText(/^\d+ connections\.$/).waitFor();
      expect(await page.getByRole('row').filter({ hasText: 'HTTP' }).count()).toBeGreaterThan(0);
      expect(faults).toEqual([]);
    },
    PATIENCE_MS,
  );

  it(
    'asks for a token where tokens are on, until it gets a valid one, and tells what that may not do',
    async () => {
      const secured = await Secured.start();
      context = await browser.newContext();
      context.setDefaultTimeout(PATIENCE_MS);
      const page = await context.newPage();
      await page.goto(secured.daemon.address ?? '');
      const dialog = page.getByRole('dialog', { name: 'Token' });
      await dialog.waitFor();
      await page.evaluate(axe.source);
      const { violations } = await page.evaluate<axe.AxeResults>('axe.run()');
      expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
      // There is nothing to go back to.
      await page.keyboard.press('Escape');
      await page.locator('#token').fill('bedrock_admin_wrong');
      await page.getByRole('button', { name: 'Use it' }).click();
      await dialog.filter({ hasText: 'UNAUTHENTICATED' }).waitFor();
      await page.locator('#token').fill(secured.tokens.reader ?? '');
      await page.getByRole('button', { name: 'Use it' }).click();
      await page.getByRole('status').filter({ hasText: 'up ' }).waitFor();
      await page.getByRole('link', { name: 'store' }).waitFor();
      expect(page.url()).not.toContain('bedrock_');
      await page.getByRole('link', { name: 'Connections', exact: true }).click();
      await page.getByRole('alert').filter({ hasText: 'PERMISSION_DENIED' }).waitFor();
      // In the tab alone: another one is asked again.
      const other = await context.newPage();
      await other.goto(secured.daemon.address ?? '');
      await other.getByRole('dialog', { name: 'Token' }).waitFor();
    },
    PATIENCE_MS,
  );

  it(
    'says that the daemon is gone, and goes on when it is back',
    async () => {
      const other = await runDaemon();
      const { port } = other;
      context = await browser.newContext();
      const page = await context.newPage();
      await page.goto(other.url);
      const state = page.locator('#state');
      await state.filter({ hasText: 'up ' }).waitFor();
      await other.close();
      await state.filter({ hasText: 'trying again' }).waitFor();
      await runDaemon({ address: `http://127.0.0.1:${port}` });
      await state.filter({ hasText: 'up ' }).waitFor();
    },
    PATIENCE_MS,
  );
});
