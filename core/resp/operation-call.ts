/** A call of a target on behalf of a request: where it goes, what it needs of the request, how it is answered. */
import type { Target } from '../contract/target.js';
import type { Operation } from '../runtime/operation-meter.js';
import type { RunningProvider } from '../runtime/running-provider.js';
import type { DirectTarget, Landing } from '../targets/direct-target.js';
import type { RegionUse } from './conflicts.js';
import type { PendingReply } from './pipeline.js';

/** A target that a request names. */
export interface Place {
  readonly provider: RunningProvider;
  readonly index: number;
  readonly target: Target;
  /** The target, if calls of it are done when they return. */
  readonly direct: DirectTarget | undefined;
}

/** Where an argument lands that is written as it comes. */
export interface Landed {
  readonly landing: Landing;
  readonly place: Place;
}

/** The bytes of an argument, for as long as a call needs them. */
export interface KeptBytes {
  readonly bytes: Uint8Array;
  /** The buffer of the pool that they are in. */
  readonly lent: Buffer | undefined;
  /** What they take of the memory for long arguments, bytes. */
  readonly reserved: number;
}

export interface OperationCall<T> {
  readonly operation: Operation;
  readonly place: Place;
  /** What it does to a region; requests that must not run beside it wait. */
  readonly use?: RegionUse | undefined;
  /** No request behind it begins before it has ended: it meets more than `use` could say. It waits for those before it itself. */
  readonly isAlone?: boolean;
  /** Bytes of regions that it moves. */
  readonly bytes: number;
  /** Bytes that its reply may have, where those are many. */
  readonly promised?: number;
  /** The same, where only the result tells. */
  readonly bytesOf?: (result: T) => number;
  /** Bytes of the request that it uses. */
  readonly kept?: KeptBytes | undefined;
  /** @param reply what its result will be answered with */
  readonly call: (reply: PendingReply) => Promise<T>;
  /** Sets the reply. */
  readonly answer: (result: T, reply: PendingReply) => void;
  /** Told when it has ended, also if it was never made. */
  readonly whenEnded?: (() => void) | undefined;
}
