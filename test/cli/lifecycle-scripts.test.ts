/** The scripts of package.json, as npm runs them: through a shell, which a signal to npm reaches and nothing behind it. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';

const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  scripts: Record<string, string>;
};

describe('a lifecycle script', () => {
  it.each(Object.entries(scripts))('takes the place of its shell: %s', (_name, command) => {
    expect(command).toMatch(/^exec node scripts\/[\w-]+\.js( --[\w-]+)*$/);
  });
});
