/**
 * A progress bar on standard error during a large transfer; none if it would disturb other output.
 */
import { bar } from './output.js';
import { formatSize } from '../base/size-text.js';

/** Smaller transfers are over before anyone could read it. */
const MIN_BYTES = 8 * 2 ** 20;
const REDRAW_MS = 100;
const BAR_WIDTH = 30;

export interface Progress {
  /** Yields the same pieces, and counts them. */
  track(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array>;
  /** Adds completed bytes. */
  add(bytes: number): void;
  /** Leaves the bar as it is, so that later output starts on a new line. */
  end(): void;
}

/** @param hasEstimate whether it shows how long the rest will take, at the rate so far */
export function trackProgress(label: string, total: number, isQuiet = false, hasEstimate = false): Progress {
  const isShown = !isQuiet && process.stderr.isTTY && total > MIN_BYTES;
  const begun = performance.now();
  let done = 0;
  let drawn = -Infinity;
  let isOver = !isShown;
  const draw = (): void => {
    drawn = performance.now();
    const rate = (done / Math.max(1, drawn - begun)) * 1000;
    const percent = `${Math.floor((done / total) * 100)}%`.padStart(4);
    const figures = `${formatSize(done)} of ${formatSize(total)}, ${formatSize(Math.round(rate))}/s`;
    const left = hasEstimate && done > 0 ? `, ${Math.ceil((total - done) / rate)} s left` : '';
    process.stderr.write(`\r${label} ${bar(done / total, BAR_WIDTH)} ${percent} ${figures}${left}\x1b[K`);
  };
  const add = (bytes: number): void => {
    done += bytes;
    if (!isOver && performance.now() - drawn >= REDRAW_MS) draw();
  };
  return {
    add,
    async *track(source) {
      for await (const piece of source) {
        yield piece;
        add(piece.length);
      }
    },
    end() {
      if (isOver) return;
      isOver = true;
      draw();
      process.stderr.write('\n');
    },
  };
}
