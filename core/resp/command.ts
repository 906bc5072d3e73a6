/**
 * What defines a command of the protocol, and what commands may use of a client (`CommandSession`)
 * and of the daemon (`DaemonFacts`).
 */
import type { Changes } from '../runtime/changes.js';
import type { Queries } from '../query/queries.js';
import type { HealthCheck } from '../runtime/health.js';
import type { RunningProvider } from '../runtime/running-provider.js';
import type { Arguments } from './arguments.js';
import type { Calls } from './calls.js';
import type { ClientRights, CommandNeed } from './client-rights.js';
import type { Cursors } from './cursors.js';
import type { Operations } from '../runtime/operations.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { SeenBytes } from '../targets/named-store.js';
import type { Landed } from './operation-call.js';
import type { Pipeline } from './pipeline.js';
import type { Protocol, Reply } from './replies.js';
import type { Request } from './request.js';
import type { RequestMemory } from './request-memory.js';
import type { Step } from './step.js';
import { KNOWN, NEED, type Scope } from '../security/identity.js';
import type { Uploads } from './uploads.js';

/**
 * Nothing was begun, since an earlier request must end first. The command is called again after
 * that.
 */
export const WAIT = Symbol('wait');

/** A transaction that MULTI has begun. */
export interface QueuedTransaction {
  /** The transaction's target; undefined if it has no transactions, so that MULTI was refused. */
  readonly served: ServedTarget | undefined;
  readonly queued: { readonly command: Command; readonly args: Arguments; readonly release: () => void }[];
  /** Whether a command could not be queued, so that EXEC is refused. */
  isFlawed: boolean;
}

/** What WATCH has recorded: names of one target, and the regions that had them, or null for none. */
export interface WatchedNames {
  readonly served: ServedTarget;
  readonly names: Map<string, SeenBytes | null>;
}

/**
 * Carries a request out: answers at once, starts what will answer, or waits. If it throws, the
 * error is the reply.
 */
export type Run = (request: Request, session: CommandSession) => undefined | typeof WAIT;

/**
 * What the sender of a command needs: nothing (`public`: allowed before AUTH), to be known (`known`),
 * or a scope. The scope must hold for the regions that `keys` names, for the targets that the command
 * gets from its session, or else for the whole daemon.
 */
export type CommandScope = 'public' | 'known' | Scope;

export interface Command extends CommandNeed {
  readonly scope: CommandScope;
  /** Fewest and most arguments, including the name. */
  readonly arity: readonly [least: number, most: number];
  readonly run: Run;
  /**
   * Where the bytes of the last argument may land as they arrive. The request has been read up to
   * there; `run` then finds the bytes in that place. If it throws, the error is the reply, and the
   * bytes are dropped.
   */
  readonly land?: (request: Request, session: CommandSession, size: number) => Landed | undefined;
  /** One line for people, in COMMAND DOCS. */
  readonly summary: string;
  readonly isWrite?: boolean;
  /** Whether it reads a target as a whole, and names no region. */
  readonly isRead?: boolean;
  /** Whether it is carried out within a transaction instead of being queued. */
  readonly isOfTransactions?: boolean;
  /** Its step within a transaction. Without it, the command is not allowed there. */
  readonly step?: Step;
  /**
   * For a command that Redis has too. With too few or too many arguments it is refused with the
   * error text of Redis.
   */
  readonly group?: 'string' | 'generic' | 'transactions';
  /** Which arguments name regions: first, last (-1: the last argument), step. Absent: none. */
  readonly keys?: readonly [first: number, last: number, step: number];
}

/**
 * The properties of a command that not all commands have. Without `of`, it is about its keys, or
 * else about the whole daemon.
 */
type Traits = Omit<Command, 'name' | 'arity' | 'run' | 'summary' | 'need' | 'of'> & {
  readonly of?: Command['of'];
};

/** A row of a table of commands. */
export function command(
  name: string,
  arity: Command['arity'],
  run: Run,
  summary: string,
  traits: Traits,
): Command {
  const { scope, of = traits.keys === undefined ? 'daemon' : 'keys' } = traits;
  const need = scope === 'public' ? 0 : scope === 'known' ? KNOWN : NEED[scope];
  return { name, arity, run, summary, ...traits, need, of };
}

/** A command that is held until nothing is in flight: rule 3 of the order in `connection.ts`. */
export function alone(run: Run): Run {
  return (request, session) => (session.isBusy ? WAIT : run(request, session));
}

/** Arity without an upper bound. */
export const MANY = Infinity;
/** The first argument names a region, or all arguments do. */
export const ONE = [1, 1, 1] as const;
export const ALL = [1, -1, 1] as const;
export const READS_ONE: Traits = { keys: ONE, scope: 'read' };
export const READS_ALL: Traits = { keys: ALL, scope: 'read' };
export const CHANGES_ONE: Traits = { keys: ONE, isWrite: true, scope: 'write' };
export const CHANGES_ALL: Traits = { keys: ALL, isWrite: true, scope: 'write' };
/** No argument names a region at a fixed place. */
export const READS: Traits = { isRead: true, scope: 'read', of: 'targets' };
export const CHANGES: Traits = { isWrite: true, scope: 'write', of: 'targets' };
/** About the daemon. */
export const ADMINISTERS: Traits = { isWrite: true, scope: 'admin' };
export const KNOWN_ONLY: Traits = { scope: 'known' };
export const OF_TRANSACTIONS: Traits = { isOfTransactions: true, scope: 'known' };

export interface CommandSession {
  /** Number of the connection, for CLIENT ID. */
  readonly id: number;
  /** Set by CLIENT SETNAME. */
  name: string;
  /** The client's library, set by CLIENT SETINFO. */
  library: { readonly name: string; readonly version: string };
  /** The transaction of MULTI, until EXEC, DISCARD or RESET ends it. */
  transaction: QueuedTransaction | undefined;
  watched: WatchedNames | undefined;
  /** Gives up a transaction, and the memory of its commands. */
  discard(): void;
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

  /** Ends the connection after the replies so far have been sent. */
  quit(): void;
  /**
   * Selects the target for commands that name none.
   * @param name `provider` or `provider.target`; undefined is the first
   * @throws PROVIDER_NOT_FOUND, NOT_SUPPORTED, NOT_READY, INVALID_ARGUMENT
   */
  select(name: string | undefined): void;
  /** @param prefix `provider/`, `provider.target/` or nothing */
  served(prefix: string): ServedTarget;
  /** Who the client is, and what it may do. */
  readonly rights: ClientRights;
  readonly calls: Calls;
  /** What calls keep of their requests. */
  readonly memory: RequestMemory;
  /** Takes replies that are ready at once. */
  readonly replies: Pipeline;
  reply(value: Reply): void;
  /** A reply as bytes, in the client's version of the protocol. */
  encode(value: Reply): Uint8Array;

  /** Cursors of the listings of all connections. */
  readonly cursors: Cursors;
}

export interface DaemonFacts {
  readonly version: string;
  /** By `performance.now()`, which corrections of the clock do not affect. */
  readonly startedAt: number;
  readonly providers: readonly RunningProvider[];
  /** Whether the providers do their work. */
  readonly health: HealthCheck;
  /** Long-running work of the providers. */
  readonly operations: Operations;
  /** Folder that relative paths in requests are relative to. */
  readonly directory: string;
  /** Whether requests on regions are served. */
  readonly isReady: () => boolean;
  /** The running configuration. */
  readonly config: () => unknown;
  /** What the daemon does at the moment. */
  readonly status: () => Promise<object>;
  readonly changes: Changes;
  /** Queries about the running configuration. */
  readonly queries: Pick<Queries, 'run' | 'checkLength'>;
  /** Starts to stop the daemon; does not wait for it. */
  readonly shutdown: () => void;
  /** Lines `name:value` about connections and work done, for INFO. */
  readonly figures: () => { readonly clients: readonly string[]; readonly stats: readonly string[] };
  /** The line of one client, by number, for CLIENT INFO. */
  readonly describe: (id: number) => string;
  /** The lines of all clients, or of some by number, for CLIENT LIST. */
  readonly describeAll: (ids?: ReadonlySet<number>) => string;
}
