/** Links of Markdown, and whether what they lead to is there. */
import path from 'node:path';
import { fencedBlocks } from '../readme/fenced-blocks.js';

const LINK = /\[[^\]]*\]\(([^()\s]+)\)|^\[[^\]]+\]:\s*(\S+)/gm;
/** Somewhere else, which no test can look at. */
const ELSEWHERE = /^[a-z][a-z0-9+.-]*:/;

/** Of a page, without its code: where each link leads to, as it is written. */
export function linksOf(markdown: string): string[] {
  return [...proseOf(markdown).matchAll(LINK)].map(([, inline, reference]) => inline ?? reference ?? '');
}

/** The anchors of a page's headings, as GitHub and npm make them. */
export function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  const given = new Map<string, number>();
  for (const [, heading = ''] of proseOf(markdown).matchAll(/^#{1,6}\s+(.*?)\s*$/gm)) {
    const text = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = text.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-');
    const before = given.get(anchor) ?? 0;
    given.set(anchor, before + 1);
    anchors.add(before === 0 ? anchor : `${anchor}-${before}`);
  }
  return anchors;
}

/**
 * What is wrong with the links of a page.
 * @param page   its path among the files, with `/`
 * @param exists whether there is a file or a folder at a path among them
 * @param read   the text of one of the pages
 */
export function brokenLinks(
  page: string,
  exists: (file: string) => boolean,
  read: (file: string) => string,
): string[] {
  return linksOf(read(page)).flatMap((link) => {
    // Nobody has given this project a place on the Web.
    if (ELSEWHERE.test(link)) return /bedrock-node/.test(link) ? [`${page}: ${link}`] : [];
    const [file = '', anchor] = link.split('#');
    const to = file === '' ? page : path.posix.join(path.posix.dirname(page), file);
    if (!exists(to)) return [`${page}: ${link}`];
    if (anchor === undefined || !to.endsWith('.md')) return [];
    return anchorsOf(read(to)).has(anchor) ? [] : [`${page}: ${link}`];
  });
}

/** The page with its blocks and code in lines left out. */
function proseOf(markdown: string): string {
  let text = markdown;
  for (const { text: code } of fencedBlocks('page', markdown)) if (code !== '') text = text.replace(code, '');
  return text;
}
