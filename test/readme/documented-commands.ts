/**
 * Commands of a block with the output that the page claims for each.
 *
 * In `sh` blocks the output stands in comments: behind the command after two spaces, or in the
 * lines below it that begin with `# `. In `console` blocks it stands as it is below commands that
 * begin with `$ `. A `…` in a line stands for any text, a line that is nothing else for any number
 * of lines. A command without output prints nothing.
 */
import { spawnSync } from 'node:child_process';

export interface DocumentedCommand {
  readonly command: string;
  /** Lines that it prints. */
  readonly output: readonly string[];
}

/** The commands of an `sh` block. @throws if the last one is not complete */
export function shellCommands(block: string): DocumentedCommand[] {
  const commands: { command: string; output: string[] }[] = [];
  let begun: string[] = [];
  for (const line of block.split('\n')) {
    const comment = /^#(?: (.*))?$/.exec(line);
    const last = commands.at(-1);
    if (begun.length === 0 && line.trim() === '') continue;
    if (begun.length === 0 && comment !== null) {
      if (last === undefined) throw new Error(`output of no command: ${line}`);
      last.output.push(comment[1] ?? '');
      continue;
    }
    const [, command = line, output] = /^(.*?\S) {2,}# (.*)$/.exec(line) ?? [];
    begun.push(command);
    if (!isComplete(begun.join('\n'))) continue;
    commands.push({ command: begun.join('\n'), output: output === undefined ? [] : [output] });
    begun = [];
  }
  if (begun.length > 0) throw new Error(`a command does not end: ${begun.join('\n')}`);
  return commands;
}

/** The commands of a `console` block. */
export function consoleCommands(block: string): DocumentedCommand[] {
  const commands: { command: string; output: string[] }[] = [];
  for (const line of block.split('\n')) {
    const last = commands.at(-1);
    if (line.startsWith('$ ')) commands.push({ command: line.slice(2), output: [] });
    else if (last === undefined) throw new Error(`output of no command: ${line}`);
    else last.output.push(line);
  }
  return commands;
}

/** Whether bash would run it, and not wait for another line. */
export function isComplete(script: string): boolean {
  if (script.endsWith('\\')) return false;
  // An open here-document is only a warning.
  const { status, stderr } = spawnSync('bash', ['-n', '-c', script], { encoding: 'utf8' });
  return status === 0 && stderr === '';
}

/**
 * Whether `actual` is what the lines claim; white space at the ends of lines and of the whole does
 * not count.
 */
export function isAsDocumented(lines: readonly string[], actual: string): boolean {
  return new RegExp(`^${patternOf(lines)}$`).test(tidy(actual));
}

/** The same for lines that stand one after another somewhere in `actual`. */
export function holdsDocumented(lines: readonly string[], actual: string): boolean {
  return new RegExp(`^${patternOf(lines)}`, 'm').test(tidy(actual));
}

function patternOf(lines: readonly string[]): string {
  return lines
    .map((line) => line.trimEnd())
    .map((line) =>
      line === '…'
        ? '(?:.*\\n)*?'
        : `${line.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&').replaceAll('…', '.*')}\\n`,
    )
    .join('');
}

/** Without white space at the ends of lines; the last line ends like the others, and nothing is no line. */
function tidy(text: string): string {
  const trimmed = text.replaceAll(/[ \t\r]+$/gm, '').trimEnd();
  return trimmed === '' ? '' : `${trimmed}\n`;
}
