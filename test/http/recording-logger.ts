/** A logger that keeps its lines for the test to look at. */
import type { Logger, LogLevel } from '../../core/logging.js';

export class RecordingLogger implements Logger {
  readonly #entries: { level: LogLevel; message: string }[] = [];

  readonly critical = this.#at('critical');
  readonly error = this.#at('error');
  readonly warning = this.#at('warning');
  readonly info = this.#at('info');
  readonly debug = this.#at('debug');
  readonly trace = this.#at('trace');

  child(): Logger {
    return this;
  }

  lines(level: LogLevel): string[] {
    return this.#entries.filter((entry) => entry.level === level).map(({ message }) => message);
  }

  #at(level: LogLevel): (message: string) => void {
    return (message) => this.#entries.push({ level, message });
  }
}
