/**
 * Calls of a daemon's targets. The two that programs make most, reading and writing a range, have encodings of their own: what is
 * the same in all of them is copied, the ID goes from its words to the digits.
 */
import { BedrockError, isErrorCode } from '../../base/errors.js';
import { isRecord } from '../../base/plain.js';
import type { RegionId } from '../../contract/region-id.js';
import { type Argument, Call, encodeArguments } from './call.js';
import type { Output } from './output.js';
import { unexpected } from './region-replies.js';
import type { Reply, ReplyError } from './reply.js';
import type { RespConnection } from './resp-connection.js';

const ID_DIGITS = 32;

/** A target as commands name it. */
export class TargetPlace {
  /** `provider.target`. */
  readonly name: string;
  /** The head of an argument that names a region of it: `$length\r\nprovider.target/`. */
  readonly idHead: Buffer;

  constructor(provider: string, index: number) {
    this.name = `${provider}.${index}`;
    this.idHead = Buffer.from(`$${this.name.length + 1 + ID_DIGITS}\r\n${this.name}/`);
  }
}

/** The same on a connection that has chosen the target. */
const CHOSEN_ID_HEAD = Buffer.from(`$${ID_DIGITS}\r\n`);

/** What carries calls to the daemon, as they tell it what became of them. */
export interface CallCarrier {
  /** A reply has come. */
  returned(call: RegionCall<unknown>): void;
  /** A caller waits no more. */
  settled(): void;
  /** The connection has broken. */
  broken(call: RegionCall<unknown>, error: BedrockError, wasSent: boolean): void;
  /** It could not be sent. Those that wait are seen to by whoever sends. */
  refused(call: RegionCall<unknown>): void;
}

/** A call that a lane sends, again if need be. */
export abstract class RegionCall<T> extends Call<T> {
  lane: CallCarrier | undefined;
  /** Where it was sent last. */
  connection: RespConnection | undefined;
  /** The target that the connection has chosen. */
  chosen: TargetPlace | undefined;
  /** Bytes of request and reply, about. */
  cost = 0;
  /** How often it was sent again. */
  repeats = 0;
  isSettled = false;
  /** Told once, when the caller has been. */
  whenSettled: (() => void) | undefined;

  constructor(
    /** The target; undefined for the daemon itself. */
    readonly place: TargetPlace | undefined,
    /** Whether it can be sent again when nobody knows what became of it. */
    readonly isRepeatable: boolean,
    into?: Uint8Array,
  ) {
    super(into);
  }

  override replied(reply: Reply): void {
    super.replied(reply);
    this.#settle();
    this.lane?.returned(this);
  }

  override fail(error: unknown): void {
    super.fail(error);
    this.#settle();
  }

  override broken(error: BedrockError, wasSent: boolean): void {
    this.lane?.broken(this, error, wasSent);
  }

  override refused(error: unknown): void {
    super.refused(error);
    this.lane?.refused(this);
  }

  protected override refusal(error: ReplyError): Error {
    return refusalOf(error);
  }

  #settle(): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.lane?.settled();
    this.whenSettled?.();
  }
}

/** An error reply of a daemon. */
export function refusalOf({ code, text, message }: ReplyError): BedrockError {
  if (!isErrorCode(code)) return new BedrockError('INTERNAL', `the daemon answered: ${message}`);
  try {
    const detailed = JSON.parse(text) as Record<string, unknown>;
    if (typeof detailed.message === 'string')
      return new BedrockError(
        code,
        detailed.message,
        isRecord(detailed.details) ? { details: detailed.details } : {},
      );
  } catch {
    // Plain text, which an error has before the connection has asked for more.
  }
  return new BedrockError(code, text);
}

const READ_HEAD = Buffer.from('*4\r\n$9\r\nBLOB.READ\r\n');

/** Reads a range to the caller's memory. */
export class ReadCall extends RegionCall<void> {
  /** Not `into.length`, as `into` is another when the call was given up. */
  readonly #size: number;

  constructor(
    place: TargetPlace,
    private readonly id: RegionId,
    private readonly offset: number,
    into: Uint8Array,
  ) {
    super(place, true, into);
    this.cost = into.length;
    this.#size = into.length;
  }

  encode(output: Output): void {
    encodeHead(output, READ_HEAD, this, this.id);
    output.number(this.offset);
    output.number(this.#size);
  }

  protected result(reply: Reply): void {
    if (reply !== this.#size) throw unexpected(reply);
  }
}

const WRITE_HEAD = Buffer.from('*4\r\n$10\r\nBLOB.WRITE\r\n');
const DURABLE_WRITE_HEAD = Buffer.from('*5\r\n$10\r\nBLOB.WRITE\r\n');

/** Overwrites a range. */
export class WriteCall extends RegionCall<void> {
  constructor(
    place: TargetPlace,
    private readonly id: RegionId,
    private readonly offset: number,
    private readonly bytes: Uint8Array,
    private readonly persist: boolean,
  ) {
    super(place, false);
    this.cost = bytes.length;
  }

  encode(output: Output): void {
    encodeHead(output, this.persist ? DURABLE_WRITE_HEAD : WRITE_HEAD, this, this.id);
    output.number(this.offset);
    output.bytes(this.bytes);
    if (this.persist) output.argument('PERSIST');
  }

  protected result(reply: Reply): void {
    if (reply !== 'OK') throw unexpected(reply);
  }
}

function encodeHead(
  output: Output,
  head: Buffer,
  { place, chosen }: RegionCall<unknown>,
  id: RegionId,
): void {
  const idHead = place === chosen || place === undefined ? CHOSEN_ID_HEAD : place.idHead;
  output.room(head.length + idHead.length + ID_DIGITS + 2);
  output.raw(head);
  output.raw(idHead);
  output.word(id.slot);
  output.word(id.generation);
  output.word(id.poolLow);
  output.word(id.poolHigh);
  output.lineEnd();
}

/** What all other commands say. */
export interface CommandParts<T> {
  /** The command's name. */
  readonly name: string;
  /** The region that it is about, which is its first argument then. */
  readonly id?: RegionId;
  /** What follows. */
  readonly args?: readonly Argument[];
  readonly isRepeatable: boolean;
  /** Where the bytes of the reply go. */
  readonly into?: Uint8Array;
  /** Bytes of request and reply, about. */
  readonly cost?: number;
  /** What the reply says. Throws if it does not fit. */
  readonly result: (reply: Reply) => T;
}

/** Any other command. */
export class CommandCall<T> extends RegionCall<T> {
  constructor(
    place: TargetPlace | undefined,
    private readonly parts: CommandParts<T>,
  ) {
    super(place, parts.isRepeatable, parts.into);
    this.cost = parts.cost ?? 0;
  }

  encode(output: Output): void {
    const { name, id, args = [] } = this.parts;
    const { place, chosen } = this;
    if (id === undefined) {
      encodeArguments(output, place === undefined ? [name, ...args] : [name, ...args, 'AT', place.name]);
      return;
    }
    const prefix = place === chosen || place === undefined ? '' : `${place.name}/`;
    encodeArguments(output, [name, prefix + id.toString(), ...args]);
  }

  protected result(reply: Reply): T {
    return this.parts.result(reply);
  }
}
