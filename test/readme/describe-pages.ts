/**
 * Makes a test of every fenced block of some pages, and for each page one of what is left at the end.
 *
 * The blocks of a page run in order, as they build on one another. The pages do not wait for each
 * other: most of the time goes into starting processes, and the tests only look at what came of the
 * blocks.
 */
import { afterAll, beforeAll, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { killAll } from '../fixtures/bedrock-process.js';
import { hasCommand, nativeAddon, needs } from '../fixtures/needs.js';
import { REPOSITORY } from './clone.js';
import { fencedBlocks, type FencedBlock } from './fenced-blocks.js';
import { PageRun } from './page-run.js';

/**
 * All pages run at the same time, so it ends what hangs only if it is beyond what all of them take
 * on a slow machine.
 */
const BLOCK_TIMEOUT_MS = 1_800_000;

const hasRedisCli = hasCommand('redis-cli');

/**
 * @param pages their paths in the repository
 * @param until the heading of each before which it ends; its end unless told
 */
export function describePages(pages: readonly string[], until?: string): void {
  const described = pages.map((page) => ({
    page,
    blocks: before(until, fencedBlocks(page, readFileSync(path.join(REPOSITORY, page), 'utf8'))),
  }));
  const begun: PageRun[] = [];
  afterAll(async () => {
    await Promise.all(begun.map((run) => run.abandon()));
    await killAll();
  });
  for (const { page, blocks } of described) if (blocks.length > 0) describePage(page, blocks, begun);
}

function before(heading: string | undefined, blocks: readonly FencedBlock[]): readonly FencedBlock[] {
  if (heading === undefined) return blocks;
  const end = blocks.findIndex((block) => block.heading === heading);
  if (end < 0) throw new Error(`no block stands under "${heading}"`);
  return blocks.slice(0, end);
}

function describePage(page: string, blocks: readonly FencedBlock[], begun: PageRun[]): void {
  // The pages speak of curl without bringing it along, and the addon needs a compiler.
  const needsCurl = blocks.some(({ text }) => text.includes('curl '));
  const needsAddon = blocks.some(({ text }) => /bedrock-node\/native|pmem/.test(text));
  const missing = [
    ...(needsCurl && !hasCommand('curl') ? ['curl'] : []),
    ...(needsAddon && !nativeAddon.isHere ? ['the native addon'] : []),
  ];
  const canRun = missing.length === 0;
  const outcomes = new Map<FencedBlock, Promise<void>>();
  let end: Promise<void> | undefined;

  if (canRun) {
    // Outside the page's own group, so that all pages begin before the first test.
    beforeAll(async () => {
      const run = await PageRun.begin();
      begun.push(run);
      let last = Promise.resolve();
      for (const block of blocks.filter(canRunBlock)) {
        const outcome = last.then(() => run.run(block));
        outcomes.set(block, outcome);
        last = outcome.catch(() => undefined);
      }
      end = last.then(() => run.end());
      end.catch(() => undefined);
    });
  }

  needs(missing.join(' and '), canRun).describe(page, () => {
    for (const block of blocks)
      needs('redis-cli', canRunBlock(block)).it(
        `does as it says: ${block.place}`,
        () => outcomes.get(block),
        BLOCK_TIMEOUT_MS,
      );
    it('shows no file that nothing uses, and leaves nothing behind', () => end, BLOCK_TIMEOUT_MS);
  });
}

/** Without redis-cli the rest of a page can be followed. */
function canRunBlock({ text }: FencedBlock): boolean {
  return hasRedisCli || !text.includes('redis-cli ');
}
