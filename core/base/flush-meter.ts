/**
 * Measures a group commit: how many callers share a flush (an fdatasync, an msync), and how long
 * flushes take. A caller costs nothing here: the code that groups callers counts them.
 */
import { Distribution } from './distribution.js';

const CALLERS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
/** Seconds: from a page cache that writes nothing to a disk that is overwhelmed. */
const SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
];

export class FlushMeter {
  /** Callers of each flush. */
  readonly callers = new Distribution(CALLERS);
  /** Time of each flush, seconds, failed ones included. */
  readonly seconds = new Distribution(SECONDS);
  failures = 0;

  /** Measures a flush that begins now. @param callers how many share it */
  async measure<T>(callers: number, flush: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    try {
      return await flush();
    } catch (error) {
      this.failures++;
      throw error;
    } finally {
      this.callers.record(callers);
      this.seconds.record((performance.now() - begun) / 1000);
    }
  }
}
