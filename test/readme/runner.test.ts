/**
 * What the tests of the pages stand on: the reader of blocks, and that a page that is wrong does
 * not pass.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { access } from 'node:fs/promises';
import { killAll } from '../fixtures/bedrock-process.js';
import { fencedBlocks } from './fenced-blocks.js';
import { PageRun } from './page-run.js';

function page(...lines: string[]): string {
  return lines.join('\n');
}

describe('fencedBlocks', () => {
  it('gives language, role, place and text of each block', () => {
    const markdown = page(
      '# One',
      '```sh daemon',
      'a',
      '# no heading',
      '',
      'b',
      '```',
      '## Two',
      '```',
      '```',
    );
    expect(fencedBlocks('x.md', markdown)).toEqual([
      {
        place: 'x.md:2, sh daemon under "One"',
        heading: 'One',
        language: 'sh',
        role: 'daemon',
        text: 'a\n# no heading\n\nb',
      },
      { place: 'x.md:9, plain text under "Two"', heading: 'Two', language: '', role: '', text: '' },
    ]);
  });

  it('reads fences of any length and kind, and those within a list', () => {
    const markdown = page(
      '````md',
      '```sh',
      '````',
      '~~~js',
      '```',
      '~~~',
      '- x',
      '  ```sh',
      '  a',
      '    b',
      '  ```',
    );
    expect(fencedBlocks('x.md', markdown).map(({ language, text }) => [language, text])).toEqual([
      ['md', '```sh'],
      ['js', '```'],
      ['sh', 'a\n  b'],
    ]);
  });

  it('refuses a block that is never closed', () => {
    expect(() => fencedBlocks('x.md', page('text', '```sh', 'a'))).toThrow('x.md:2');
  });
});

describe('a page', () => {
  let run: PageRun;
  beforeAll(async () => {
    run = await PageRun.begin();
  });
  afterAll(async () => {
    await run.abandon();
    await killAll();
  });

  async function runPage(...lines: string[]): Promise<void> {
    for (const block of fencedBlocks('x.md', page(...lines))) await run.run(block);
  }

  it.each([
    ['output behind a command', ['```sh', 'echo a  # a', '```']],
    ['output below a command', ['```sh', 'printf "a\\n\\nb"', '# a', '#', '# b', '```']],
    ['no output', ['```sh', 'true', '```']],
    ['any text in a line', ['```sh', 'echo "(a) b [c]"  # (…) b […]', '```']],
    ['any number of lines, also none', ['```sh', 'seq 9', '# …', '# 1', '# …', '# 9', '# …', '```']],
    ['variables that carry over', ['```sh', 'A=x', '```', '```console', '$ echo $A', 'x', '```']],
    ['commands of several lines', ['```sh', 'cat << E', '# a', 'E', '# # a', 'echo \\', '  b', '# b', '```']],
    ['the address that is documented', ['```sh', 'echo $BEDROCK_ADDRESS  # http://127.0.0.1:7480', '```']],
    [
      'the daemon that is documented',
      ['```sh', 'curl -s http://127.0.0.1:7480/v1/config | grep -o store', '# store', '```'],
    ],
    ['an error that is documented', ['```sh', '(echo error CODE: why; exit 2)', '# error CODE: …', '```']],
    ['the log', ['```', '[info] [bedrock] listening on http://127.0.0.1:7480', '[info] […', '```']],
    ['a folder for temporary files that is removed', ['```sh', '[[ $(mktemp -d) == "$HOME"/* ]]', '```']],
    ['a configuration', ['```json', '{"providers": []}', '```']],
    ['a part of a configuration', ['```json fragment', '"libraries": [], // some', '```']],
  ])('passes with %s', async (_, lines) => {
    await expect(runPage(...lines)).resolves.toBeUndefined();
  });

  it.each([
    ['other output', ['```sh', 'echo a  # b', '```']],
    ['more output', ['```sh', 'seq 2  # 1', '```']],
    ['less output', ['```sh', 'echo 1', '# 1', '# 2', '```']],
    ['output that is not documented', ['```sh', 'echo a', '```']],
    ['an error that is not documented', ['```sh', '(echo error CODE: why; exit 2)', '# …', '```']],
    ['a failure', ['```sh', 'false', '```']],
    ['an error that did not come', ['```sh', 'echo "error X: y"  # error X: y', '```']],
    ['output of no command', ['```console', 'a', '```']],
    ['half a command', ['```sh', 'echo "a', '```']],
    ['a language that nothing runs', ['```ts', 'let a: string;', '```']],
    ['a role that is not known', ['```sh later', 'true', '```']],
    ['npx outside of the clone', ['```sh', '(cd / && npx bedrock --help > /dev/null)', '```']],
    ['lines that were not logged', ['```', '[info] [bedrock] listens', '```']],
    ['a script that does not exist', ['```sh daemon', 'npm run nothing', '```']],
    ['a daemon that does not start', ['```sh each', 'npx bedrock -c nowhere.json', '```']],
    ['a program without a name', ['```js', 'let a;', '```']],
    ['a program with the name of a file of the repository', ['```js', '// jest.config.js', '```']],
    ['a configuration with a fault', ['```json', '{"provider": []}', '```']],
    ['a part of a configuration that does not parse', ['```json fragment', '"a": [', '```']],
  ])('fails with %s', async (_, lines) => {
    await expect(runPage(...lines)).rejects.toThrow();
  });
});

describe('the end of a page', () => {
  it('fails with a file that no block uses, and with processes left behind, and removes both', async () => {
    const run = await PageRun.begin();
    for (const name of ['used.js', 'unused.js'])
      await run.run({ place: '', heading: '', language: 'js', role: '', text: `// ${name}\n` });
    const config = '// used.json\n{ "libraries": ["./used.js"] }';
    await run.run({ place: '', heading: '', language: 'json', role: '', text: config });
    await run.shell.run('sleep 1000 > /dev/null &');
    const faults = ['commands left processes behind', 'no block uses unused.js', 'no block uses used.json'];
    await expect(run.end()).rejects.toMatchObject({ message: faults.join('\n') });
    await expect(access(run.clone.home)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
