/**
 * The connection of one client of the Redis door: reads its requests, carries them out, sends the replies.
 *
 * - Input that is not a request of the protocol gets an error, and the connection ends. It also ends if it is refused memory
 *   that it needs. Nothing that happens here affects another connection.
 * - A long argument lands where its command wants it, or in its own buffer. There is a limit on the memory that the long
 *   arguments and replies of all clients may take together. If memory is short, a client that holds much of it and does nothing
 *   is closed.
 * - A client that does not take its replies is not read until it does. A long pipeline lets other connections run in between
 *   (`Turn`).
 *
 * ## The order of requests and of replies
 *
 * A client may send many requests before it reads a reply. It gets the replies in the order of its requests, and each request
 * sees the effects of the requests before it. Still, independent requests run at the same time:
 *
 * 1. Requests begin in the order of arrival. A request that may not begin yet is held, and those after it stay in the input,
 *    unread. So nothing overtakes a request that has not begun, and only requests in flight need to be compared.
 * 2. A request that touches bytes of a region is held while one in flight touches some of the same bytes and one of the two
 *    changes them (`Conflicts`). Erasing a region, or making it durable, touches all of its bytes. A step of an upload is held
 *    while another step of it is in flight. A request is compared, begun and recorded in one step, so no other comes between.
 * 3. A request that reads a whole target, or changes how this connection is served, has no bytes to compare. It is held until
 *    nothing is in flight. If it takes time, nothing begins before it has ended (`isAlone`).
 * 4. A request takes its place in the queue of replies when it begins, and fills it when it ends. A reply is sent when all
 *    replies before it are ready (`Pipeline`). If it is ready at once and none before it is missing, it skips the queue.
 *
 * Requests of different connections are not ordered here: their targets keep them apart, as they do calls of any door.
 */
import type { Socket } from 'node:net';
import { allocateBytes } from '../base/allocation.js';
import { asBedrockError, invalid } from '../base/errors.js';
import { giveBuffer, takeBuffer } from '../net/spare-buffers.js';
import type { Share, ShareHolder } from '../net/byte-budget.js';
import { takenBytes } from '../net/taken-bytes.js';
import { Turn } from '../net/turn.js';
import { type Caller, Calls } from './calls.js';
import type { ClientFacts } from './client-line.js';
import { Arguments } from './arguments.js';
import {
  type Command,
  type CommandSession,
  type DaemonFacts,
  type KeptArguments,
  type QueuedTransaction,
  WAIT,
  type WatchedNames,
} from './command.js';
import { commandOf } from './commands.js';
import type { Cursors } from './cursors.js';
import type { Door } from './door.js';
import { HeldLanding, type LandingClient } from './held-landing.js';
import { Input, INPUT_BYTES, noRoom } from './input.js';
import { LongArguments } from './long-arguments.js';
import type { RegionRef } from '../contract/names.js';
import type { ServedTarget } from '../runtime/served-target.js';
import { rememberOrigin } from '../security/audit.js';
import { type Authority, EVERYTHING } from '../security/identity.js';
import { addressOf, type Limits } from '../security/limits.js';
import type { KeptBytes, Landed } from './operation-call.js';
import { noMemory, Pipeline } from './pipeline.js';
import { NamedTargets } from './named-targets.js';
import { encodeReply, Failure, failureOf, OUT_OF_MEMORY, type Protocol, type Reply } from './replies.js';
import { Found, RequestParser } from '../redis-wire/request-parser.js';
import { Request } from './request.js';
import { RedisFault, wrongArity } from './redis-fault.js';
import { noteRefusal, runAudited } from './resp-audit.js';
import { queue } from './transaction-commands.js';
import { MIN_RATE, Uploads } from './uploads.js';

/** How many requests of one connection may run at once. */
const MAX_IN_FLIGHT = 256;

/** Bytes of requests that may wait after one that waits. */
const MAX_WAITING_BYTES = INPUT_BYTES / 2;

/**
 * When this many bytes of replies are gathered, they are sent before the next request, so that their buffers can be used again
 * soon.
 */
const GATHERED_BYTES = 2 ** 17;

/** A client with more bytes of replies than this waits if the memory for the replies of all clients is full. */
const MODEST_BYTES = 2 ** 16;

/** Lists with fewer members are not counted. */
const SHORT_LIST = 256;
/** Heap bytes for each member. */
const MEMBER_BYTES = 128;

/** Replies up to this size, to a few requests, may wait for the replies to requests that have already arrived. */
const FEW_BYTES = 32;

/** A client that has not said who it is needs no more for that. */
const MOST_BEFORE_AUTH_BYTES = 2 ** 14;

/** Bytes to be dropped are read into it. */
const DROPPED = Buffer.allocUnsafeSlow(INPUT_BYTES);
const NOTHING = Buffer.alloc(0);

/** The state of the connection. It only moves forward (`#goTo`). */
const Life = {
  /** Requests are read and carried out. */
  open: 0,
  /** The client has ended its side. Complete requests are carried out. */
  inputOver: 1,
  /** No more requests begin, and input is dropped. The connection ends when all begun requests are answered. */
  ending: 2,
  /** The socket is gone. */
  closed: 3,
} as const;
type Life = (typeof Life)[keyof typeof Life];

/**
 * The state of the requests in the input (`#carryOut`). `idle`: all complete requests were begun. `working`: they are being
 * begun, directly from the input. `stalled`: the next one is not read until there is room, or until it is this connection's
 * turn. `held`: it was read, and waits for one before it.
 */
type Work = 'idle' | 'working' | 'stalled' | 'held';

export class Session implements CommandSession, Caller, LandingClient {
  name = '';
  library = { name: '', version: '' };
  transaction: QueuedTransaction | undefined;
  watched: WatchedNames | undefined;
  protocol: Protocol = 2;
  tellsDetails = false;
  authority: Authority | undefined;
  readonly uploads: Uploads;
  /** Bytes that have arrived. */
  receivedBytes = 0;
  /** Requests that were carried out. */
  requests = 0;
  /** Errors that were sent. */
  failedRequests = 0;
  readonly limits: Door['limits'];
  readonly daemon: DaemonFacts;
  readonly cursors: Cursors;
  readonly calls = new Calls(this);
  replies!: Pipeline;
  /** When the bytes that are being handled arrived, by performance.now(). */
  arrivedAt = performance.now();

  readonly #connectedAt = this.arrivedAt;
  #lastCommand = 'NULL';
  readonly #input: Input;
  readonly #parser: RequestParser;
  readonly #request: Request;
  #socket!: Socket;
  readonly #targets: NamedTargets;
  readonly #long: LongArguments;
  /** Memory of requests that have arrived, including what calls use of them. */
  readonly #arriving: Share;
  readonly #inUse: Share;
  #life: Life = Life.open;
  #work: Work = 'idle';
  /** What the socket was last told: whether to read. */
  #isReading = true;
  /** What the client may do with everything: bits of `NEED`. */
  #mask: number;
  /** The version of the daemon's `Access` that the mask is of. */
  #seen: number | undefined;
  /** The limits that requests and bytes count for. */
  readonly #rates: Limits | undefined;
  /** The last request that was counted, by number; the bytes that were counted, and where they come from. */
  #counted = -1;
  #chargedBytes = 0;
  #seenBytes = 0;
  #address: string | undefined;
  /** The command at hand, if what the client may do depends on the regions that it is about. */
  #narrow: Command | undefined;
  readonly #turn = new Turn(() => this.#advance());
  /** Where the next bytes were told to land: the room, and what must still be the same then. */
  #room: Buffer = NOTHING;
  #roomAt = 0;
  /** The incomplete request when `isDripping` last checked, by number; the bytes that had arrived then, and the time. */
  #dripping = { request: -1, receivedBytes: 0, sinceMs: 0 };

  constructor(
    readonly id: number,
    private readonly door: Door,
  ) {
    this.limits = door.limits;
    this.daemon = door.daemon;
    this.cursors = door.cursors;
    this.#mask = door.access === undefined ? EVERYTHING : 0;
    this.#rates = door.rates?.countsRequests === true ? door.rates : undefined;
    this.#targets = new NamedTargets(door);
    this.uploads = new Uploads(undefined, door.uploads);
    this.#arriving = door.arriving.share(this.#holder(() => this.receivedBytes, 'a request'));
    this.#inUse = door.arriving.share();
    this.#input = new Input(door.limits.maxRequestBytes, this.#arriving);
    this.#parser = new RequestParser(door.limits);
    this.#request = new Request(this.#parser);
    this.#long = new LongArguments(this.#arriving, this.#inUse);
  }

  #holder(movedBytes: () => number, what: string): ShareHolder {
    const isAwaited = (): boolean => this.isAwaited;
    return {
      get isAwaited() {
        return isAwaited();
      },
      get movedBytes() {
        return movedBytes();
      },
      evict: () => {
        this.door.noteEvicted(what);
        this.lose();
      },
    };
  }

  /** Sets the socket that reads into it. */
  attach(socket: Socket): void {
    this.#socket = socket;
    if (this.door.audit !== undefined || this.door.rates !== undefined) rememberOrigin(socket);
    if (this.door.access !== undefined) this.#become(this.#ofConnection());
    this.#address = this.#rates && addressOf(socket);
    const holder = this.#holder(() => takenBytes(socket), 'replies');
    this.replies = new Pipeline(socket, this.door.replies.share(holder), () =>
      this.encodeFailure(noMemory()),
    );
    socket.on('drain', () => this.#advance());
  }

  get isBusy(): boolean {
    return this.calls.inFlight > 0;
  }

  /** Whether it is the client's turn: to send the rest of a request or an upload, or to take replies. */
  get isAwaited(): boolean {
    // A request that asks for memory must not cause its own client to be evicted, which would take away the request's bytes.
    if (this.#work === 'working') return false;
    if (this.#socket.writableLength > 0) return true;
    if (this.#isStalled) return false;
    if (this.#parser.isWithin || this.#parser.position < this.#input.end) return true;
    // A long transaction holds memory that others may need.
    if (this.transaction !== undefined && this.#arriving.bytes > MODEST_BYTES && !this.isBusy) return true;
    // Its uploads hold space.
    return this.uploads.count > 0 && !this.isBusy;
  }

  /** Bytes that have arrived from the client, and that it has taken. */
  get movedBytes(): number {
    return this.receivedBytes + takenBytes(this.#socket);
  }

  /**
   * Whether almost nothing of a request has arrived for this long. Its bytes may land in a region. That keeps the region's
   * space, and delays the close of its target.
   * @param now milliseconds, not counting time in which the daemon did not run
   */
  isDripping(now: number, timeoutMs: number): boolean {
    const { receivedBytes, requests } = this;
    if (!this.#parser.isWithin || this.#isStalled) this.#dripping.request = -1;
    else if (this.#dripping.request !== requests)
      this.#dripping = { request: requests, receivedBytes, sinceMs: now };
    else if (now - this.#dripping.sinceMs >= timeoutMs) {
      const { sinceMs } = this.#dripping;
      if ((receivedBytes - this.#dripping.receivedBytes) * 1000 < MIN_RATE * (now - sinceMs)) return true;
      this.#dripping = { request: requests, receivedBytes, sinceMs: now };
    }
    return false;
  }

  // ---- states ----

  #goTo(life: Life): void {
    if (life > this.#life) this.#life = life;
  }

  get #isStalled(): boolean {
    return this.#work === 'stalled' || this.#work === 'held';
  }

  // ---- input ----

  /**
   * Where the next bytes of the socket go. Call it when nothing is being read: only then may the input change its buffer, as
   * otherwise the system may be writing to it.
   */
  room(): Buffer {
    try {
      this.#room = this.#life >= Life.ending ? DROPPED : this.#nextRoom();
    } catch (error) {
      this.#end(failureOf(asBedrockError(error)));
      this.#room = DROPPED;
    }
    this.#roomAt = this.#filledTo;
    return this.#room;
  }

  #nextRoom(): Buffer {
    if (this.mustAuthenticate && this.#input.end - this.#parser.begin > MOST_BEFORE_AUTH_BYTES) {
      this.#refuse(`a request of more than ${MOST_BEFORE_AUTH_BYTES} bytes before AUTH`);
      return DROPPED;
    }
    if (!this.#makeRoom()) {
      this.#refuse(`a request has at most ${this.limits.maxRequestBytes} bytes beside long arguments`);
      return DROPPED;
    }
    if (this.#long.isArriving) return this.#long.room(DROPPED);
    return this.#input.room(this.#long.isExpected);
  }

  /** @returns whether there is room */
  #makeRoom(): boolean {
    // Complete requests are not too large, however many wait.
    const { begin, count } = this.#parser;
    const moved = this.#input.makeRoom(begin, this.#isStalled, count);
    if (moved > 0) this.#parser.moved(moved);
    return moved >= 0;
  }

  /** How far the current place is filled. It changes with all input that is taken. */
  get #filledTo(): number {
    return this.#long.isArriving ? -1 - this.#long.filled : this.#input.end;
  }

  /** Handles bytes that have arrived in `where`. @returns whether to read on */
  received(count: number, where: Buffer): boolean {
    if (this.#life >= Life.ending) return true;
    this.arrivedAt = performance.now();
    // Waiting requests may have been carried out since the room was given out. Then the bytes belong elsewhere.
    if (where !== this.#room || this.#roomAt !== this.#filledTo)
      return this.#takeCopy(where.subarray(0, count));
    this.#filled(count);
    this.#turn.spend(0, count);
    this.#advance(count === where.length);
    return this.#isReading;
  }

  #takeCopy(bytes: Uint8Array): boolean {
    try {
      const copy = allocateBytes(bytes.length);
      copy.set(bytes);
      return this.take(copy);
    } catch (error) {
      this.#broke(error);
      return true;
    }
  }

  /** Handles bytes that have arrived anywhere. @returns whether to read on */
  take(bytes: Buffer): boolean {
    this.arrivedAt = performance.now();
    for (let at = 0; at < bytes.length && this.#life < Life.ending;) {
      const room = this.room();
      const count = Math.min(room.length, bytes.length - at);
      if (room !== DROPPED) room.set(bytes.subarray(at, at + count));
      at += count;
      this.#filled(count);
      this.#advance();
    }
    // Bytes to keep leave the buffer that all connections share.
    this.room();
    return this.#isReading;
  }

  #filled(count: number): void {
    this.receivedBytes += count;
    if (!this.#long.isArriving) this.#input.end += count;
    else if (this.#long.fill(count)) this.#parser.resumeBehindLong(this.#input.end);
  }

  /** The socket is gone. */
  closed(): void {
    if (this.#life === Life.closed) return;
    if (this.#rates !== undefined) this.#charge(this.#rates, this.movedBytes);
    this.#goTo(Life.closed);
    this.#input.close();
    this.#long.giveBack();
    this.uploads.close();
    this.discard();
    this.replies.closed();
  }

  /** Gives up the connection, and everything it holds except what calls use. */
  lose(): void {
    this.#socket.destroy();
    this.closed();
  }

  /** Handles an error that concerns this connection alone. */
  #broke(error: unknown): void {
    this.door.logFailure(asBedrockError(error));
    this.lose();
  }

  /** The client has ended its side. Complete requests are carried out, and then the connection ends. */
  inputEnded(): void {
    this.#goTo(Life.inputOver);
    this.#advance();
  }

  /** Takes no more requests. Ends when all begun requests are answered. */
  end(): void {
    this.#goTo(Life.ending);
    this.#endIfDone();
  }

  quit(): void {
    this.#goTo(Life.ending);
  }

  /** Carries out as much of the input as allowed. @param isMoreThere whether more input has surely arrived */
  readonly #advance = (isMoreThere = false): void => {
    try {
      this.#goOn(isMoreThere);
    } catch (error) {
      this.#broke(error);
    }
  };

  #goOn(isMoreThere: boolean): void {
    if (this.#life === Life.closed) return;
    const isHeld = this.#work === 'held';
    this.#work = 'working';
    let work: Work = 'idle';
    try {
      work = this.#carryOut(isHeld);
    } finally {
      this.#work = work;
    }
    if (this.#life === Life.inputOver && work === 'idle') this.#goTo(Life.ending);
    const isEnding = this.#life >= Life.ending;
    // A request that waits seldom waits long, so some more input may arrive meanwhile. Input after the last request is read and
    // dropped: if it stayed unread, the system would cut off the last reply.
    const mayRead =
      !this.#turn.isOver &&
      (work === 'idle' ||
        (isEnding && work === 'stalled') ||
        this.#input.end - this.#parser.begin < MAX_WAITING_BYTES);
    // Sending the reply to each of many large requests separately would cost more than the requests.
    if (isMoreThere && this.replies.gatheredBytes < FEW_BYTES) this.replies.flushSoon();
    else this.replies.flush();
    if (isEnding) this.#endIfDone();
    if (mayRead === this.#isReading) return;
    this.#isReading = mayRead;
    if (mayRead) this.#socket.resume();
    else this.#socket.pause();
  }

  /** Begins requests that may begin. @param isHeld whether the next request was already read. @returns how far that went */
  #carryOut(isHeld: boolean): Work {
    for (;;) {
      if (this.replies.gatheredBytes >= GATHERED_BYTES) this.replies.flush();
      if (this.#turn.isOver || this.#isFull()) return isHeld ? 'held' : 'stalled';
      const gathered = this.replies.gatheredBytes;
      if (!isHeld) {
        if (this.#life >= Life.ending || this.#long.isArriving) return 'idle';
        const found = this.#parser.next(this.#input.bytes, this.#input.end);
        if (found === Found.incomplete) return 'idle';
        if (found === Found.fault) {
          this.#refuse(this.#parser.fault);
          return 'idle';
        }
        if (found === Found.longArgument) {
          this.#beginLong();
          continue;
        }
      }
      if (!this.#run()) return 'held';
      isHeld = false;
      this.requests++;
      this.#long.requestDone();
      this.#turn.spend(1, this.replies.gatheredBytes - gathered);
    }
  }

  /** Whether no more requests may begin. */
  #isFull(): boolean {
    const { calls } = this;
    if (calls.isAlone || calls.inFlight >= MAX_IN_FLIGHT) return true;
    const { bytes } = this.replies;
    return bytes > this.limits.maxBufferedBytes || (bytes > MODEST_BYTES && this.door.replies.isFull);
  }

  /** @returns whether the request was begun */
  #run(): boolean {
    const request = this.#request;
    request.set(this.#input.bytes, this.#long.all);
    try {
      const { failure } = this.#long;
      if (failure !== undefined) throw failure;
      if (this.#rates !== undefined) this.#count(this.#rates);
      const command = commandOf(request);
      if (command === undefined) {
        if (this.mustAuthenticate) throw noAuth();
        throw invalid(`unknown command ${JSON.stringify(request.text(0).slice(0, 64))}`);
      }
      if (this.#seen !== this.door.access?.version) this.#renew();
      const narrow = (command.need & ~this.#mask) === 0 ? undefined : this.#authorize(command);
      this.#narrow = narrow;
      checkArity(command, request);
      this.#lastCommand = command.name;
      if (narrow !== undefined) this.#checkKeys(narrow, request);
      if (this.transaction !== undefined && command.isOfTransactions !== true) {
        queue(this.transaction, command, request, this);
        return true;
      }
      return this.#carry(command, request) !== WAIT;
    } catch (error) {
      const { audit } = this.door;
      if (audit !== undefined) noteRefusal(error, request, this, this.#socket, audit);
      // The transaction would lack the command that could not be queued.
      if (this.transaction !== undefined) this.transaction.isFlawed = true;
      // A line that is not a command is a request of another protocol, perhaps from a web page that has found the port.
      if (request.isInline) this.#goTo(Life.ending);
      this.replies.encoded(this.encodeFailure(error));
      return true;
    }
  }

  /** Counts the request at hand, once, and the bytes that were moved before it. @throws RATE_LIMITED */
  #count(rates: Limits): void {
    if (this.#counted === this.requests) return;
    this.#counted = this.requests;
    const client = this.authority?.who ?? this.#address;
    this.#charge(rates, takenBytes(this.#socket) + this.#seenBytes);
    const refusal = rates.admit(client);
    // What has come of this request, or after it, counts for the next ones.
    this.#seenBytes = this.receivedBytes;
    this.#charge(rates, this.movedBytes);
    if (refusal !== undefined) throw refusal;
  }

  /** Counts the bytes that were moved since they were last counted. @param moved all of them so far */
  #charge(rates: Limits, moved: number): void {
    rates.charge(this.authority?.who ?? this.#address, moved - this.#chargedBytes);
    this.#chargedBytes = moved;
  }

  #carry(command: Command, request: Request): undefined | typeof WAIT {
    const { audit } = this.door;
    if (audit === undefined) return command.run(request, this);
    return runAudited(command, request, { session: this, calls: this.calls, socket: this.#socket }, audit);
  }

  #refuse(fault: string): void {
    this.#end(new Failure('ERR', `Protocol error: ${fault}`));
  }

  #end(failure: Failure): void {
    this.reply(failure);
    this.#goTo(Life.ending);
    // If there was no room for more, nothing else would send it.
    setImmediate(() => this.#advance());
  }

  // ---- long arguments ----

  /** Gives the bytes of a long argument their own place. */
  #beginLong(): void {
    if (this.mustAuthenticate) {
      this.#refuse('an argument of more than 8 KiB before AUTH');
      return;
    }
    const { position, longBytes: length, count: index, announced } = this.#parser;
    const { bytes, end } = this.#input;
    const first = bytes.subarray(position, Math.min(end, position + length));
    // If arguments follow, the request is not completely known yet.
    const isLast = index + 1 === announced;
    const isWhole = this.#long.begin(index, length, first, () => (isLast ? this.#land(length) : undefined));
    if (isWhole) this.#parser.resumeBehindLong(position + length);
    // Only the head of the request stays in the buffer.
    else this.#input.end = position;
  }

  #land(length: number): Landed | undefined {
    const request = this.#request;
    request.set(this.#input.bytes, this.#long.all);
    // Before a byte lands. The error is that of the request.
    if (this.#rates !== undefined) this.#count(this.#rates);
    const command = commandOf(request);
    if (this.transaction !== undefined) return undefined;
    // Its bytes come to a buffer then, and it is refused, or allowed, when it is there.
    if (this.#seen !== this.door.access?.version || ((command?.need ?? 0) & ~this.#mask) !== 0)
      return undefined;
    this.#narrow = undefined;
    const landed = command?.land?.(request, this, length);
    return (
      landed && {
        served: landed.served,
        landing: new HeldLanding(landed.landing, landed.served, this),
      }
    );
  }

  keep(index: number): KeptBytes {
    const long = this.#long.take(index);
    if (long !== undefined) return long;
    // The next bytes replace those in the input.
    const bytes = this.#request.bytes(index);
    const lent = takeBuffer(bytes.length);
    lent.set(bytes);
    return { bytes: lent.subarray(0, bytes.length), lent, reserved: 0 };
  }

  keepCopy(first: number, step: number, count: number): KeptBytes {
    const request = this.#request;
    let total = 0;
    for (let each = 0; each < count; each++) total += request.lengthOf(first + each * step);
    const reserved = total + count * MEMBER_BYTES;
    this.#use(reserved);
    try {
      const lent = takeBuffer(total);
      let at = 0;
      for (let each = 0; each < count; each++) at += request.copyTo(lent, at, first + each * step);
      return { bytes: lent.subarray(0, total), lent, reserved };
    } catch (error) {
      this.#inUse.give(reserved);
      throw error;
    }
  }

  keepArguments(): KeptArguments {
    return this.#keepArguments(this.#inUse);
  }

  queueArguments(): KeptArguments {
    // They may wait as long as the client likes. It is closed if others need the memory.
    return this.#keepArguments(this.#arriving);
  }

  #keepArguments(share: Share): KeptArguments {
    const request = this.#request;
    const { count } = request;
    let total = 0;
    for (let index = 0; index < count; index++)
      if (request.longAt(index) === undefined) total += request.lengthOf(index);
    const reserved = total + count * MEMBER_BYTES;
    if (reserved <= MODEST_BYTES && share.bytes <= MODEST_BYTES) share.force(reserved);
    else if (!share.take(reserved)) throw noRoom();
    const long: KeptBytes[] = [];
    try {
      const copy = allocateBytes(total);
      let at = 0;
      const all = Array.from({ length: count }, (_, index) => {
        const kept = this.#long.take(index);
        if (kept !== undefined) {
          long.push(kept);
          this.#inUse.give(kept.reserved);
          share.force(kept.reserved);
          const { buffer, byteOffset, length } = kept.bytes;
          return Buffer.from(buffer, byteOffset, length);
        }
        const bytes = copy.subarray(at, (at += request.lengthOf(index)));
        bytes.set(request.bytes(index));
        return bytes;
      });
      const release = (): void => {
        share.give(reserved);
        for (const { lent, reserved: more } of long) {
          if (lent !== undefined) giveBuffer(lent);
          share.give(more);
        }
      };
      return { args: new Arguments(all), release };
    } catch (error) {
      share.give(reserved);
      throw error;
    }
  }

  keepList(length: number): KeptBytes | undefined {
    if (length < SHORT_LIST) return undefined;
    const reserved = length * MEMBER_BYTES;
    this.#use(reserved);
    return { bytes: NOTHING, lent: undefined, reserved };
  }

  /** Reserves memory for a call. @throws OVERLOADED */
  #use(bytes: number): void {
    if (bytes <= MODEST_BYTES) this.#inUse.force(bytes);
    else if (!this.#inUse.take(bytes)) throw noRoom();
  }

  discard(): void {
    const { transaction } = this;
    this.transaction = undefined;
    for (const { release } of transaction?.queued ?? []) release();
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

  // ---- calls ----

  release({ lent, reserved }: KeptBytes): void {
    if (lent !== undefined) giveBuffer(lent);
    this.#inUse.give(reserved);
  }

  ended(): void {
    if (this.#isStalled || this.#life >= Life.ending) this.#advance();
  }

  #endIfDone(): void {
    if (this.calls.inFlight === 0 && this.#work !== 'held') this.replies.end();
  }

  // ---- services for commands ----

  get facts(): ClientFacts {
    const { id, name, library, protocol, transaction, requests, arrivedAt } = this;
    return {
      ...{ id, name, library, protocol, requests, arrivedAt },
      queued: transaction?.queued.length ?? -1,
      lastCommand: this.#lastCommand,
      connectedAt: this.#connectedAt,
      providerId: this.#targets.selectedId,
      memory: {
        inputBytes: this.#input.end - this.#parser.begin,
        inputFreeBytes: this.#input.bytes.length - this.#input.end,
        argumentBytes: this.#inUse.bytes,
        replyBytes: this.replies.bytes,
        waitingReplies: this.replies.waiting,
        heldBytes: this.#arriving.bytes + this.#inUse.bytes + this.replies.countedBytes,
      },
    };
  }

  // ---- who sends the requests ----

  get mustAuthenticate(): boolean {
    return this.#mask === 0;
  }

  authenticate(id: string | undefined, secret: string): void {
    const { access } = this.door;
    if (access === undefined)
      throw new RedisFault(
        'AUTH called without any password configured: this daemon has none, and serves whoever reaches it',
      );
    const refusal = this.door.rates?.refusesAuth(this.#socket);
    if (refusal !== undefined) throw refusal;
    // Clients that have only a password send this name.
    const authority =
      id === undefined || id === 'default' ? access.ofToken(secret) : access.ofSecret(id, secret);
    if (authority === undefined) {
      this.door.rates?.authFailed(this.#socket);
      throw new RedisFault('invalid username-password pair or user is disabled.', 'WRONGPASS');
    }
    this.#become(authority);
  }

  forget(): void {
    if (this.door.access !== undefined) this.#become(this.#ofConnection());
  }

  /** Who the client is before it presents a token. */
  #ofConnection(): Authority | undefined {
    return this.door.access?.ofSocket(this.#socket);
  }

  #become(authority: Authority | undefined): void {
    this.#giveUpWork();
    this.authority = authority;
    this.#mask = authority?.everywhere ?? 0;
    this.#seen = this.door.access?.version;
  }

  /** Somebody may do less or more than before. */
  #renew(): void {
    const { access } = this.door;
    if (access === undefined) return;
    const before = this.authority;
    const after = before && access.renewed(before);
    if (before !== undefined && !(after?.isAsBefore(before) ?? false)) this.#giveUpWork();
    // Otherwise the client could not even authenticate again.
    if (after === undefined) this.discard();
    this.authority = after;
    this.#mask = after?.everywhere ?? 0;
    this.#seen = access.version;
  }

  /** What was allowed to another one, or before somebody may do less, does not go on. */
  #giveUpWork(): void {
    if (this.transaction !== undefined) this.transaction.isFlawed = true;
    this.watched = undefined;
    this.uploads.abandon();
  }

  /** Refuses a command that is not allowed anywhere. @returns it, since what it is about must be looked at @throws RedisFault */
  #authorize(command: Command): Command {
    const { name, need, of } = command;
    const { authority } = this;
    if (authority === undefined) throw noAuth();
    if ((need & ~authority.somewhere) !== 0 || of === 'daemon') {
      const { name: id } = authority.identity;
      throw new RedisFault(`User ${id} has no permissions to run the '${name}' command`, 'NOPERM');
    }
    return command;
  }

  /** @throws PERMISSION_DENIED */
  #checkKeys({ keys, of }: Command, request: Request): void {
    if (of !== 'keys' || keys === undefined) return;
    const [first, last, step] = keys;
    const end = last < 0 ? request.count + last : last;
    for (let index = first; index <= end; index += step)
      this.permit(this.served(request.prefixOf(index)), request.ref(index));
  }

  /** Those who may use names only may get a target for commands that are about names. @throws PERMISSION_DENIED */
  #checkTarget({ need, of }: Command, provider: string): void {
    const { authority } = this;
    if (of === 'targets') authority?.requireProvider(need, provider);
    else if (authority?.allowsSome(need, provider) === false) throw authority.denied(need, provider);
  }

  permit({ provider }: ServedTarget, ref: RegionRef | undefined): void {
    const narrow = this.#narrow;
    if (narrow === undefined) return;
    this.authority?.requireName(narrow.need, provider.name, typeof ref === 'string' ? ref : undefined);
  }

  confine({ provider }: ServedTarget, prefix: string): string {
    const narrow = this.#narrow;
    return narrow === undefined
      ? prefix
      : (this.authority?.confine(narrow.need, provider.name, prefix) ?? prefix);
  }

  select(name: string | undefined): void {
    this.#targets.select(name);
  }

  served(prefix: string): ServedTarget {
    const served = this.#targets.served(prefix);
    const narrow = this.#narrow;
    if (narrow !== undefined) this.#checkTarget(narrow, served.provider.name);
    return served;
  }
}

/** The text of Redis, which clients know. */
function noAuth(): RedisFault {
  return new RedisFault('Authentication required.', 'NOAUTH');
}

/** @throws RedisFault, INVALID_ARGUMENT */
function checkArity({ name, arity, group }: Command, { count }: Request): void {
  const [least, most] = arity;
  if (count >= least && count <= most) return;
  if (group !== undefined) throw wrongArity(name);
  throw invalid(`wrong number of arguments for ${name}`);
}
