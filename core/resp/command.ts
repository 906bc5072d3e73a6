/** What a command of the protocol is, and what it may use of the client that sent it. */
import type { RunningProvider } from '../runtime/running-provider.js';
import type { Calls } from './calls.js';
import type { Cursors } from './cursors.js';
import type { KeptBytes, Landed, Place } from './operation-call.js';
import type { Pipeline } from './pipeline.js';
import type { Protocol, Reply } from './replies.js';
import type { Request } from './request.js';
import type { Uploads } from './uploads.js';

/** Nothing was begun, as a request before this one must end first; the command is called again then. */
export const WAIT = Symbol('wait');

/** Carries a request out: answers at once, begins what will answer, or waits. What it throws is the answer. */
export type Run = (request: Request, client: CommandClient) => undefined | typeof WAIT;

export interface Command {
  /** In lower case. */
  readonly name: string;
  /** Fewest and most arguments, the name included. */
  readonly arity: readonly [least: number, most: number];
  readonly run: Run;
  /**
   * Where the bytes of the last argument may land while they come, of a request that is read up to there; then `run` finds them there.
   * What it throws is the answer, and the bytes are dropped.
   */
  readonly land?: (request: Request, client: CommandClient, size: number) => Landed | undefined;
  /** One line for people, in COMMAND DOCS. */
  readonly summary: string;
  readonly isWrite?: boolean;
  /** That it looks at a target as a whole, where it names no region. */
  readonly isRead?: boolean;
  /** Whether it is carried out after a MULTI that was refused, and ends that. */
  readonly endsTransaction?: boolean;
  /** Where the names of regions stand: first, last (-1: the last argument), step. Absent: nowhere. */
  readonly keys?: readonly [first: number, last: number, step: number];
}

export interface CommandClient {
  /** Number of the connection, as CLIENT ID gives it. */
  readonly id: number;
  /** As CLIENT SETNAME gave it. */
  name: string;
  /** Of the client's software, as CLIENT SETINFO gave it. */
  library: { readonly name: string; readonly version: string };
  /** A MULTI was refused, and what ends it has not come yet. */
  isInTransaction: boolean;
  protocol: Protocol;
  /** Whether the text of an error is JSON: message and details. */
  tellsDetails: boolean;
  readonly uploads: Uploads;
  /** Whether requests are being carried out. */
  readonly isBusy: boolean;
  readonly limits: {
    readonly maxBulkBytes: number;
    readonly maxArguments: number;
    readonly maxRequestBytes: number;
  };
  readonly daemon: DaemonFacts;

  /** Ends the connection when the replies so far are out. */
  quit(): void;
  /**
   * Chooses the target that commands mean which name none.
   * @param place `provider` or `provider.target`; undefined is the first
   * @throws PROVIDER_NOT_FOUND, NOT_SUPPORTED, NOT_READY, INVALID_ARGUMENT
   */
  select(place: string | undefined): void;
  /** @param prefix `provider/`, `provider.target/` or nothing */
  place(prefix: string): Place;
  readonly calls: Calls;
  /** The bytes of an argument for a call that outlives the request. */
  keep(index: number): KeptBytes;
  /** A copy of several, one behind another. @throws OVERLOADED */
  keepCopy(pieces: readonly Uint8Array[]): KeptBytes;
  /** What a list of so many ranges or regions takes, for such a call; nothing for a short one. @throws OVERLOADED */
  keepList(length: number): KeptBytes | undefined;
  /** Where answers go that are there at once. */
  readonly replies: Pipeline;
  reply(value: Reply): void;
  /** A reply as bytes, in the client's version of the protocol. */
  encode(value: Reply): Uint8Array;

  /** Of the listings of all connections. */
  readonly cursors: Cursors;
}

export interface DaemonFacts {
  readonly version: string;
  /** By `performance.now()`, which no correction of the clock moves. */
  readonly startedAt: number;
  readonly providers: readonly RunningProvider[];
  /** Whether requests on regions are served. */
  readonly isReady: () => boolean;
  /** The running configuration. */
  readonly config: () => unknown;
  /** Begins to stop the daemon; does not wait for it. */
  readonly shutdown: () => void;
  /** Lines `name:value` about connections, and about what was done, for INFO. */
  readonly figures: () => { readonly clients: readonly string[]; readonly stats: readonly string[] };
  /** A client's own line, for CLIENT INFO. */
  readonly describe: (client: CommandClient) => string;
  /** Those of all clients, or of some by their numbers, for CLIENT LIST. */
  readonly describeAll: (ids?: ReadonlySet<number>) => string;
}
