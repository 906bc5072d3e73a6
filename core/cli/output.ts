/** Standard output, and the formats for people. */
import { systemCodeOf } from '../base/errors.js';
import { OutputClosed } from './failure.js';

// Without a listener an error would end the process; each write gets its own error.
process.stdout.on('error', () => undefined);

/**
 * Writes, and resolves when the system has accepted the data: so a slow reader slows the command down.
 * @throws OutputClosed, the reason of `signal`, errors of the system
 */
export function print(data: string | Uint8Array, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal?.reason as Error);
    signal?.addEventListener('abort', stop, { once: true });
    process.stdout.write(data, (error) => {
      signal?.removeEventListener('abort', stop);
      if (error === null || error === undefined) resolve();
      else reject(systemCodeOf(error) === 'EPIPE' ? new OutputClosed() : error);
    });
  });
}

export function printLine(text: string): Promise<void> {
  return print(`${text}\n`);
}

/**
 * A name in a form that is safe to show: characters that are invisible, or would move the cursor of
 * a terminal, are shown as their numbers.
 */
export function shownName(name: string): string {
  const shown = (letter: string): string => `\\u{${(letter.codePointAt(0) ?? 0).toString(16)}}`;
  return name.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, shown);
}

/** JSON on one line, or indented. */
export function printJson(value: unknown, isPretty = false): Promise<void> {
  return printLine(JSON.stringify(value, null, isPretty ? 2 : undefined));
}

/**
 * Columns as wide as their widest cell, numbers aligned to the right; one line per row, the first
 * row being the header.
 */
export function table(rows: readonly (readonly string[])[], numbers: readonly string[] = []): string {
  const [heads = []] = rows;
  const widths = heads.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return numbers.includes(heads[column] ?? '') ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  return rows.map(line).join('\n');
}

/** `1 region`, `2 regions`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** A bar of `width` characters; `part` from 0 to 1 is full. */
export function bar(part: number, width: number): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * width);
  return `[${'#'.repeat(full)}${'-'.repeat(width - full)}]`;
}
