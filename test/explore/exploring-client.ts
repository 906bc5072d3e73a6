/**
 * A user of a target in its own process, which does one thing after another, and some things while
 * others are still under way.
 */
import type { Target } from '../../core/index.js';
import type { Failures } from './failures.js';
import type { Ownership } from './ownership.js';
import type { Schedule } from './schedule.js';

export interface Surroundings {
  readonly target: Target;
  readonly schedule: Schedule;
  readonly ownership: Ownership;
  readonly isMappable: boolean;
  readonly isImportable: boolean;
  /** Of the medium below. */
  readonly failures: Failures;
  /** Whether making a region waits for nothing. */
  readonly isCheap: boolean;
  /** Calls that have not ended, with what they are. */
  readonly calls: Map<number, string>;
  /** A number that nobody else has: contents are made of it. */
  readonly nextNumber: () => number;
  /** What happens, for the report. */
  readonly note: (text: string) => void;
}

/** What a call may fail with without harm. */
export const REFUSALS: ReadonlySet<string> = new Set([
  'OUT_OF_SPACE',
  'REGION_NOT_FOUND',
  'OUT_OF_RANGE',
  'ID_TAKEN',
  'TARGET_CLOSED',
  'ABORTED',
  // Of a source that fails.
  'NOT_SUPPORTED',
]);

export function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | undefined)?.code);
}

export abstract class ExploringClient {
  /** One operation in so many is not waited for. */
  protected abstract readonly hurry: number;

  constructor(
    protected readonly name: string,
    protected readonly around: Surroundings,
  ) {}

  protected abstract doSomething(): Promise<unknown>;

  /** Called after each operation. */
  protected look(): void {
    // Most have nothing to look at.
  }

  /** Releases one of the views that it holds. */
  protected abstract releaseOne(): void;
  protected abstract readonly isHolding: boolean;

  async run(operations: number): Promise<void> {
    const { schedule } = this.around;
    const underWay: Promise<unknown>[] = [];
    for (let left = operations; left > 0; left--) {
      await schedule.pause();
      const doing = this.doSomething();
      if (schedule.random.below(this.hurry) === 0) {
        // Who fails is asked later.
        doing.catch(() => undefined);
        underWay.push(doing);
      } else {
        await doing;
      }
      this.look();
    }
    await Promise.all(underWay);
    while (this.isHolding) {
      await schedule.pause();
      this.releaseOne();
    }
  }
}
