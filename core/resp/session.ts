/**
 * What the requests of one client have in common: what its commands see and change
 * (`CommandSession`), and how one request is carried out, from the look-up of its command to its
 * reply.
 *
 * - A request that fails gets an error as its reply. The session goes on.
 * - A request that must wait for an earlier one has no effect, and is carried out again later. When
 *   that is, and all else about the order of requests, is up to `Connection`.
 */
import type { Socket } from 'node:net';
import { asBedrockError, type BedrockError, invalid } from '../base/errors.js';
import type { ServedTarget } from '../runtime/served-target.js';
import { addressOf } from '../security/limits.js';
import { type Caller, Calls } from './calls.js';
import type { ClientFacts } from './client-line.js';
import type { AwaitedClient } from './client-progress.js';
import { ClientRates } from './client-rates.js';
import { ClientRights, noAuth, type WorkingClient } from './client-rights.js';
import {
  type Command,
  type CommandSession,
  type DaemonFacts,
  type QueuedTransaction,
  WAIT,
  type WatchedNames,
} from './command.js';
import { commandOf } from './commands.js';
import type { Cursors } from './cursors.js';
import type { Door } from './door.js';
import { HeldLanding } from './held-landing.js';
import { NamedTargets } from './named-targets.js';
import type { Landed } from './operation-call.js';
import type { Pipeline } from './pipeline.js';
import { RedisFault, wrongArity } from './redis-fault.js';
import { encodeReply, Failure, failureOf, OUT_OF_MEMORY, type Protocol, type Reply } from './replies.js';
import type { Request } from './request.js';
import type { RequestMemory } from './request-memory.js';
import { noteRefusal, runAudited } from './resp-audit.js';
import { queue } from './transaction-commands.js';
import { Uploads } from './uploads.js';

/** The connection of a session. */
export interface SessionConnection extends AwaitedClient {
  /** Takes no more requests. Ends when all begun requests are answered. */
  quit(): void;
  /** A call has ended. */
  callEnded(): void;
}

export class Session implements CommandSession, Caller, WorkingClient {
  name = '';
  library = { name: '', version: '' };
  transaction: QueuedTransaction | undefined;
  watched: WatchedNames | undefined;
  protocol: Protocol = 2;
  tellsDetails = false;
  readonly uploads: Uploads;
  /** Requests that were carried out. */
  requests = 0;
  /** Errors that were sent. */
  failedRequests = 0;
  /** When the bytes that are being handled arrived, by performance.now(). Set by the connection. */
  arrivedAt = performance.now();
  readonly limits: Door['limits'];
  readonly daemon: DaemonFacts;
  readonly cursors: Cursors;
  readonly rights: ClientRights;
  readonly calls = new Calls(this);
  replies!: Pipeline;

  readonly #connectedAt = this.arrivedAt;
  #lastCommand = 'NULL';
  #socket!: Socket;
  readonly #targets: NamedTargets;
  /** Only if there are limits that requests and bytes count for. */
  #rates: ClientRates | undefined;

  constructor(
    readonly id: number,
    private readonly door: Door,
    private readonly connection: SessionConnection,
    readonly memory: RequestMemory,
  ) {
    this.limits = door.limits;
    this.daemon = door.daemon;
    this.cursors = door.cursors;
    this.rights = new ClientRights(this, door.access, door.rates);
    this.#targets = new NamedTargets(door);
    this.uploads = new Uploads(undefined, door.uploads);
  }

  /** Sets the socket of the client, and where replies go. */
  attach(socket: Socket, replies: Pipeline): void {
    this.#socket = socket;
    this.replies = replies;
    this.rights.attach(socket);
    const { rates } = this.door;
    if (rates?.countsRequests === true)
      this.#rates = new ClientRates(rates, this.connection, this.rights, addressOf(socket));
  }

  // ---- requests ----

  /**
   * Carries a request out, or begins to.
   * @param failure why it fails, if it does: one of its arguments could not be stored
   * @returns whether it was begun; if not, an earlier request must end first
   */
  run(request: Request, failure: BedrockError | undefined): boolean {
    try {
      if (failure !== undefined) throw failure;
      this.#rates?.count(this.requests);
      if (!this.#runCommand(request)) return false;
    } catch (error) {
      const { audit } = this.door;
      if (audit !== undefined) noteRefusal(error, request, this, this.#socket, audit);
      // The transaction would lack the command that could not be queued.
      if (this.transaction !== undefined) this.transaction.isFlawed = true;
      // A line that is not a command is a request of another protocol, perhaps from a web page that
      // has found the port.
      if (request.isInline) this.quit();
      this.replies.encoded(this.encodeFailure(error));
    }
    this.requests++;
    return true;
  }

  /** @returns whether it was begun */
  #runCommand(request: Request): boolean {
    const command = commandOf(request);
    if (command === undefined) {
      if (this.rights.mustAuthenticate) throw noAuth();
      throw invalid(`unknown command ${JSON.stringify(request.text(0).slice(0, 64))}`);
    }
    // It may show the figures.
    if (command.keys === undefined) this.calls.count();
    const isNarrow = this.rights.admit(command);
    checkArity(command, request);
    this.#lastCommand = command.name;
    if (isNarrow) this.#checkKeys(command, request);
    if (this.transaction !== undefined && command.isOfTransactions !== true) {
      queue(this.transaction, command, request, this);
      return true;
    }
    const { audit } = this.door;
    if (audit === undefined) return command.run(request, this) !== WAIT;
    const client = { session: this, calls: this.calls, socket: this.#socket };
    return runAudited(command, request, client, audit) !== WAIT;
  }

  /** @throws PERMISSION_DENIED */
  #checkKeys({ keys, of }: Command, request: Request): void {
    if (of !== 'keys' || keys === undefined) return;
    const [first, last, step] = keys;
    const end = last < 0 ? request.count + last : last;
    for (let index = first; index <= end; index += step)
      this.rights.permit(this.served(request.prefixOf(index)), request.ref(index));
  }

  /**
   * The place for the last argument of a request, before its bytes arrive.
   * @returns nothing if it goes to a buffer @throws the error of the request
   */
  land(request: Request, length: number): Landed | undefined {
    this.#rates?.count(this.requests);
    const command = commandOf(request);
    // From a buffer it is queued; or the command is refused, or allowed, when all of it is there.
    if (this.transaction !== undefined || !this.rights.admitsEverywhere(command?.need ?? 0)) return undefined;
    const landed = command?.land?.(request, this, length);
    if (landed === undefined) return undefined;
    const { landing, served } = landed;
    return { served, landing: new HeldLanding(landing, served, this.connection) };
  }

  get isBusy(): boolean {
    return this.calls.inFlight > 0;
  }

  ended(): void {
    this.connection.callEnded();
  }

  // ---- replies ----

  encode(value: Reply): Uint8Array {
    return encodeReply(value, this.protocol);
  }

  reply(value: Reply): void {
    if (value instanceof Failure) this.failedRequests++;
    this.replies.encoded(this.encode(value));
  }

  encodeFailure(error: unknown): Uint8Array {
    const known = error instanceof RedisFault ? error : asBedrockError(error);
    this.failedRequests++;
    if (known.code === 'INTERNAL') this.door.logFailure(known);
    try {
      return this.encode(failureOf(known, this.tellsDetails));
    } catch {
      return OUT_OF_MEMORY;
    }
  }

  // ---- services for commands ----

  select(name: string | undefined): void {
    this.#targets.select(name);
  }

  served(prefix: string): ServedTarget {
    const served = this.#targets.served(prefix);
    this.rights.checkTarget(served);
    return served;
  }

  quit(): void {
    this.connection.quit();
  }

  discard(): void {
    const { transaction } = this;
    this.transaction = undefined;
    for (const { release } of transaction?.queued ?? []) release();
  }

  giveUpWork(): void {
    if (this.transaction !== undefined) this.transaction.isFlawed = true;
    this.watched = undefined;
    this.uploads.abandon();
  }

  /** The connection is gone. Gives back what the session holds. */
  close(): void {
    this.#rates?.end();
    this.uploads.close();
    this.discard();
  }

  get facts(): Omit<ClientFacts, 'memory'> {
    const { id, name, library, protocol, transaction, requests, arrivedAt } = this;
    return {
      ...{ id, name, library, protocol, requests, arrivedAt },
      queued: transaction?.queued.length ?? -1,
      lastCommand: this.#lastCommand,
      connectedAt: this.#connectedAt,
      providerId: this.#targets.selectedId,
    };
  }
}

/** @throws RedisFault, INVALID_ARGUMENT */
function checkArity({ name, arity, group }: Command, { count }: Request): void {
  const [least, most] = arity;
  if (count >= least && count <= most) return;
  if (group !== undefined) throw wrongArity(name);
  throw invalid(`wrong number of arguments for ${name}`);
}
