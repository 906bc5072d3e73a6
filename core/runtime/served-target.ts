/**
 * A target as the doors serve it. A door gets one when it looks up a target, whatever its protocol.
 * It holds everything that the daemon adds to a call: the execution pool of the provider, which
 * admits it, and the meter, which counts its bytes, time and failures. A door calls `target`, or
 * `direct` if that exists.
 *
 * A door creates regions by way of `space`. If there is no space, this ends uploads of clients that
 * are too slow.
 *
 * One operation is `executionPool.run` (or `tryEnter` and `leave`) around each call, and then
 * `record` or `recordFailure`, once.
 */
import type { ErrorCode } from '../base/errors.js';
import { tracing } from '../base/tracing.js';
import type { ExecutionPool } from '../contract/execution-pool.js';
import type { ProviderState } from '../contract/provider-state.js';
import type { Target } from '../contract/target.js';
import { checkedTarget } from '../targets/checked-target.js';
import { DirectTarget } from '../targets/direct-target.js';
import { HeldSpace } from './held-space.js';
import { createOperationMeter, type Operation, type OperationMeter } from './operation-meter.js';
import { RequestCount } from './request-count.js';

/** The context in which a target is served. */
export interface ServingProvider {
  readonly name: string;
  readonly providerId: number;
  readonly state: ProviderState;
  /** Its present targets. */
  readonly targets: readonly Target[];
  /** Admits the calls; another one after `set-pool`. */
  readonly executionPool: ExecutionPool;
}

export class ServedTarget {
  /** The target. Its results are checked, since a library is not trusted. */
  readonly target: Target;
  readonly #direct: DirectTarget | undefined;
  /**
   * Admits the calls. It may be replaced: a caller that leaves it after a wait must keep the one
   * that it entered.
   */
  executionPool: ExecutionPool;
  /** The space that clients hold for regions that are not complete. */
  readonly space = new HeldSpace();

  /**
   * @param index number of the target
   * @param source the target as its provider has it
   * @param meter the meter of this number; an earlier target with the number used it too
   * @param requests the requests in flight at its provider
   */
  constructor(
    readonly provider: ServingProvider,
    private readonly index: number,
    readonly source: Target,
    readonly meter: OperationMeter = createOperationMeter(),
    readonly requests = new RequestCount(),
  ) {
    this.target = checkedTarget(source);
    this.#direct = this.target instanceof DirectTarget ? this.target : undefined;
    this.executionPool = provider.executionPool;
  }

  /** The target, if its calls are complete when they return. */
  get direct(): DirectTarget | undefined {
    return this.#direct?.isHeld === true ? undefined : this.#direct;
  }

  /**
   * Whether its provider is running, and still has it: a provider may change its targets, for
   * example in a restore.
   */
  get isCurrent(): boolean {
    const { state, targets } = this.provider;
    return state === 'running' && targets[this.index] === this.source;
  }

  /**
   * Counts operations that succeeded.
   * @param bytes of regions that they moved
   * @param begun when their requests came, by performance.now()
   * @param count how many; their replies are sent together
   */
  record(operation: Operation, bytes: number, begun: number, count = 1): void {
    this.meter[operation].record(bytes, performance.now() - begun, count);
    if (tracing !== undefined) this.#trace(operation, bytes, begun);
  }

  /** Counts an operation that failed. @param begun as for record */
  recordFailure(operation: Operation, code: ErrorCode, begun: number): void {
    this.meter[operation].recordFailure(code, performance.now() - begun);
    if (tracing !== undefined) this.#trace(operation, 0, begun, code);
  }

  #trace(operation: Operation, bytes: number, begun: number, code?: ErrorCode): void {
    const { index: target } = this;
    const provider = this.provider.name;
    tracing?.operation({ provider, target, operation, bytes, begun, ...(code !== undefined && { code }) });
  }
}
