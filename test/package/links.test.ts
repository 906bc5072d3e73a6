/** The reader of links that judges the pages: describe-links.ts. */
import { describe, expect, it } from '@jest/globals';
import { anchorsOf, brokenLinks, linksOf } from './links.js';

describe('the reader of links', () => {
  it('finds links and images, and none in code', () => {
    const page = ['[a](b.md) ![c](d.svg#e)', '```md', '[f](g.md)', '```', '[h]: i.md'].join('\n');
    expect(linksOf(page)).toEqual(['b.md', 'd.svg#e', 'i.md']);
  });

  it('makes anchors of headings as GitHub does', () => {
    const page = ['# One `two`: three', '## a_b, c-d', '## a_b, c-d', '```sh', '# no', '```'].join('\n');
    expect([...anchorsOf(page)]).toEqual(['one-two-three', 'a_b-c-d', 'a_b-c-d-1']);
  });

  it.each(['gone.md', '#nowhere', 'page.md#nowhere', 'https://example.org/bedrock-node'])(
    'finds that %s does not exist',
    (link) => {
      const read = (): string => `# Here\n[x](${link}) [y](#here)`;
      expect(brokenLinks('page.md', (file) => file === 'page.md', read)).toEqual([`page.md: ${link}`]);
    },
  );
});
