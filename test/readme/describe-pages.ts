/**
 * Makes a test of every fenced block of some pages, and for each page one of what is left at the end.
 *
 * The blocks of a page run in order, as they build on one another. The pages do not wait for each other: most of the time goes
 * into starting processes, and the tests only look at what came of the blocks.
 */
import { afterAll, beforeAll, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { killAll } from '../fixtures/bedrock-process.js';
import { hasCommand, nativeAddon, needs } from '../fixtures/needs.js';
import { REPOSITORY } from './clone.js';
import { fencedBlocks, type FencedBlock } from './fenced-blocks.js';
import { PageRun } from './page-run.js';

/** For the commands of one block on a machine that is busy with other things. */
const BLOCK_TIMEOUT_MS = 180_000;

const hasRedisCli = hasCommand('redis-cli');

/** @param pages their paths in the repository */
export function describePages(pages: readonly string[]): void {
  const described = pages.map((page) => ({
    page,
    blocks: fencedBlocks(page, readFileSync(path.join(REPOSITORY, page), 'utf8')),
  }));
  const begun: PageRun[] = [];
  afterAll(async () => {
    await Promise.all(begun.map((run) => run.abandon()));
    await killAll();
  });
  for (const { page, blocks } of described) if (blocks.length > 0) describePage(page, blocks, begun);
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
