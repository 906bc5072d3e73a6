/**
 * A terminal that shows one screen of lines instead of its scrolled text, and gives keys. However
 * the command ends, except by SIGKILL, the terminal is then as it was before: `close`, and the
 * event `exit` of the process if that was not called. Standard input may be something else than a
 * terminal; then there are no keys.
 */
import { writeSync } from 'node:fs';
import type { Line } from './top-view.js';

/** ECMA-48 and xterm: another screen, and no cursor. */
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const CLEAR_LINE = '\x1b[K';
const CLEAR_BELOW = '\x1b[J';
/** Ctrl-Z. */
const SUSPEND = '\x1a';
const PLAIN = '\x1b[0m';
const STYLES = { head: '\x1b[1m', bad: '\x1b[1;31m', quiet: '\x1b[2m' } as const;

/** Of terminals that tell no size. */
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

export interface ScreenEvents {
  onKey(key: string): void;
  /** It has another size, or shows nothing of what was drawn. */
  onResize(): void;
}

export class Screen {
  #isOpen = false;
  readonly #restore = (): void => this.close();
  readonly #resized: () => void;
  readonly #continued: () => void;
  readonly #typed: (data: Buffer) => void;

  constructor(
    events: ScreenEvents,
    private readonly output: typeof process.stdout = process.stdout,
    private readonly input: NodeJS.ReadStream = process.stdin,
  ) {
    this.#resized = () => events.onResize();
    this.#continued = () => {
      // Another program has used the terminal meanwhile, and may have changed its settings.
      this.#leave();
      this.#enter();
      events.onResize();
    };
    this.#typed = (data) => {
      for (const key of data.toString('latin1')) {
        if (key === SUSPEND) this.#stop();
        else events.onKey(key);
      }
    };
  }

  /** Whether standard output can show a screen. */
  static isPossible(): boolean {
    return process.stdout.isTTY && process.env.TERM !== 'dumb';
  }

  get columns(): number {
    return this.output.columns > 0 ? this.output.columns : DEFAULT_COLUMNS;
  }

  get rows(): number {
    return this.output.rows > 0 ? this.output.rows : DEFAULT_ROWS;
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    process.on('exit', this.#restore);
    process.on('SIGCONT', this.#continued);
    this.#enter();
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off('exit', this.#restore);
    process.off('SIGCONT', this.#continued);
    this.#leave();
  }

  #enter(): void {
    this.output.on('resize', this.#resized);
    if (this.input.isTTY) {
      this.input.setRawMode(true);
      this.input.on('data', this.#typed);
      this.input.resume();
    }
    this.#write(ENTER);
  }

  #leave(): void {
    this.output.off('resize', this.#resized);
    if (this.input.isTTY) {
      this.input.off('data', this.#typed);
      this.input.setRawMode(false);
      this.input.pause();
    }
    this.#write(LEAVE);
  }

  /** Ctrl-Z is a key like others here. `fg` goes on. */
  #stop(): void {
    this.#leave();
    process.kill(process.pid, 'SIGSTOP');
  }

  draw(lines: readonly Line[]): void {
    if (!this.#isOpen) return;
    const texts = lines.map(({ text, style }) =>
      style === undefined ? `${text}${CLEAR_LINE}` : `${STYLES[style]}${text}${PLAIN}${CLEAR_LINE}`,
    );
    this.#write(`${HOME}${texts.join('\r\n')}${CLEAR_BELOW}`);
  }

  /** At once, also while the process ends. */
  #write(text: string): void {
    try {
      writeSync(this.output.fd, text);
    } catch {
      // The terminal is gone, or takes nothing at the moment: the next screen is a whole one again.
    }
  }
}
