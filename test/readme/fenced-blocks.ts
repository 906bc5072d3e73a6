/**
 * Reads the fenced code blocks out of a page of Markdown.
 *
 * The info string behind the opening fence is the language and, for some blocks, a role:
 * ```sh daemon. What is written here decides nothing about what languages and roles mean; that is
 * page-run.ts.
 */
export interface FencedBlock {
  /** Page, line and heading, for messages. */
  readonly place: string;
  /** The heading it stands under. */
  readonly heading: string;
  /** First word of the info string; empty for a plain block. */
  readonly language: string;
  /** The other words of the info string. */
  readonly role: string;
  readonly text: string;
}

interface OpenFence {
  readonly fence: string;
  readonly indent: number;
  readonly info: string;
  readonly line: number;
  readonly lines: string[];
}

/**
 * The blocks of a page, in order.
 * @param page its name, for messages
 * @throws if a fence is never closed
 */
export function fencedBlocks(page: string, markdown: string): FencedBlock[] {
  const blocks: FencedBlock[] = [];
  let heading = '';
  let open: OpenFence | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    const [, indent = '', fence = '', info = ''] = /^(\s*)(`{3,}|~{3,})(.*)$/.exec(line) ?? [];
    if (open !== undefined) {
      if (fence.startsWith(open.fence) && info.trim() === '') {
        blocks.push(blockOf(page, heading, open));
        open = undefined;
      } else {
        open.lines.push(line.slice(Math.min(open.indent, line.length - line.trimStart().length)));
      }
    } else if (fence !== '') {
      open = { fence, indent: indent.length, info: info.trim(), line: index + 1, lines: [] };
    } else {
      heading = /^#{1,6}\s+(.*?)\s*$/.exec(line)?.[1] ?? heading;
    }
  }
  if (open !== undefined) throw new Error(`${page}:${open.line}: the block is never closed`);
  return blocks;
}

function blockOf(page: string, heading: string, { info, line, lines }: OpenFence): FencedBlock {
  const [language = '', ...role] = info.split(/\s+/);
  const kind = info === '' ? 'plain text' : info;
  return {
    place: `${page}:${line}, ${kind} under "${heading}"`,
    heading,
    language,
    role: role.join(' '),
    text: lines.join('\n'),
  };
}
