/**
 * Commands to a daemon. The two most common ones, reading and writing a range, have their own
 * encodings: the constant parts are copied, and the ID is converted directly from its words to
 * digits.
 */
import { BedrockError, type ErrorCode, isErrorCode } from '../../base/errors.js';
import { isRecord } from '../../base/plain.js';
import type { RegionRef } from '../../contract/names.js';
import { type Argument, Command, encodeArguments } from './command.js';
import type { RequestWriter } from '../../redis-wire/request-writer.js';
import { unexpected } from './region-replies.js';
import type { Reply, ReplyError } from '../../redis-wire/reply.js';
import type { RespConnection } from './resp-connection.js';

const ID_DIGITS = 32;
/** Separates the target from a name. This byte never occurs in UTF-8. */
const NAME_MARK = '\xff';
/** A name that the daemon would take for the ID of another target's region. */
const LIKE_AN_ID = /\/[\da-f]{32}$/i;

/** A target, as commands name it. */
export class TargetName {
  /** `provider.target`. */
  readonly text: string;
  /**
   * Start of an argument that names a region of the target by its ID:
   * `$length\r\nprovider.target/`.
   */
  readonly idHead: Buffer;

  constructor(provider: string, index: number) {
    this.text = `${provider}.${index}`;
    this.idHead = Buffer.from(`$${this.text.length + 1 + ID_DIGITS}\r\n${this.text}/`);
  }
}

/** The same for a connection that has chosen the target. */
const CHOSEN_ID_HEAD = Buffer.from(`$${ID_DIGITS}\r\n`);

/** An argument that names a region, by its ID or its name. */
export class Key {
  constructor(readonly ref: RegionRef) {}

  /** @param target the target of the region; undefined if the connection has chosen it */
  argument(target: TargetName | undefined): Argument {
    const { ref } = this;
    if (typeof ref !== 'string') return `${target === undefined ? '' : `${target.text}/`}${ref.toString()}`;
    if (target === undefined && !LIKE_AN_ID.test(ref)) return ref;
    return Buffer.concat([Buffer.from(`${target?.text ?? ''}${NAME_MARK}`, 'latin1'), Buffer.from(ref)]);
  }
}

/** What sends commands to the daemon. Commands report to it what happened to them. */
export interface Carrier {
  /** The reply has come. */
  returned(command: DaemonCommand<unknown>): void;
  /** A caller no longer waits. */
  settled(): void;
  /** The connection has broken. */
  broken(command: DaemonCommand<unknown>, error: BedrockError, wasSent: boolean): void;
}

/** A command that is sent by a lane, and sent again if necessary. */
export abstract class DaemonCommand<T> extends Command<T> {
  lane: Carrier | undefined;
  /** The connection that it was last sent on. */
  connection: RespConnection | undefined;
  /** The target that the connection has chosen. */
  chosen: TargetName | undefined;
  /** Approximate size of request and reply, in bytes. */
  cost = 0;
  /** How often it was sent again. */
  repeats = 0;
  /** Called once, after the promise was settled. */
  whenSettled: (() => void) | undefined;

  constructor(
    /** The target; undefined for a command to the daemon itself. */
    readonly target: TargetName | undefined,
    /** Whether it can be sent again when it is unknown whether it was carried out. */
    readonly isRepeatable: boolean,
    into?: Uint8Array,
  ) {
    super(into);
  }

  override replied(reply: Reply): void {
    super.replied(reply);
    this.lane?.returned(this);
  }

  override broken(error: BedrockError, wasSent: boolean): void {
    this.lane?.broken(this, error, wasSent);
  }

  protected override refusal(error: ReplyError): Error {
    return refusalOf(error);
  }

  protected override settled(): void {
    this.lane?.settled();
    this.whenSettled?.();
  }
}

/** Codes that have another form in the Redis protocol. */
const REDIS_CODES: Readonly<Record<string, ErrorCode>> = {
  NOAUTH: 'UNAUTHENTICATED',
  WRONGPASS: 'UNAUTHENTICATED',
  NOPERM: 'PERMISSION_DENIED',
};

/** The error for an error reply of a daemon. */
export function refusalOf({ code: word, text, message }: ReplyError): BedrockError {
  const code = REDIS_CODES[word] ?? word;
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
    // Plain text: errors have that form until the connection has asked for more.
  }
  return new BedrockError(code, text);
}

const READ_HEAD = Buffer.from('*4\r\n$9\r\nBLOB.READ\r\n');

/** Reads a range into the caller's memory. */
export class ReadCommand extends DaemonCommand<void> {
  /** Not `into.length`, because `into` is replaced when the call is given up. */
  readonly #size: number;

  constructor(
    target: TargetName,
    private readonly ref: RegionRef,
    private readonly offset: number,
    into: Uint8Array,
  ) {
    super(target, true, into);
    this.cost = into.length;
    this.#size = into.length;
  }

  encode(output: RequestWriter): void {
    encodeHead(output, READ_HEAD, this, this.ref);
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
export class WriteCommand extends DaemonCommand<void> {
  constructor(
    target: TargetName,
    private readonly ref: RegionRef,
    private readonly offset: number,
    private readonly bytes: Uint8Array,
    private readonly persist: boolean,
  ) {
    super(target, false);
    this.cost = bytes.length;
  }

  encode(output: RequestWriter): void {
    encodeHead(output, this.persist ? DURABLE_WRITE_HEAD : WRITE_HEAD, this, this.ref);
    output.number(this.offset);
    output.bytes(this.bytes);
    if (this.persist) output.argument('PERSIST');
  }

  protected result(reply: Reply): void {
    if (reply !== 'OK') throw unexpected(reply);
  }
}

function encodeHead(
  output: RequestWriter,
  head: Buffer,
  { target, chosen }: DaemonCommand<unknown>,
  ref: RegionRef,
): void {
  if (typeof ref === 'string') {
    output.reserve(head.length);
    output.raw(head);
    output.argument(new Key(ref).argument(target === chosen ? undefined : target));
    return;
  }
  const idHead = target === chosen || target === undefined ? CHOSEN_ID_HEAD : target.idHead;
  output.reserve(head.length + idHead.length + ID_DIGITS + 2);
  output.raw(head);
  output.raw(idHead);
  output.word(ref.slot);
  output.word(ref.generation);
  output.word(ref.poolLow);
  output.word(ref.poolHigh);
  output.lineEnd();
}

/** Describes any other command. */
export interface CommandParts<T> {
  /** The command's name. */
  readonly name: string;
  /** The region that the command is about. If given, it is the first argument. */
  readonly ref?: RegionRef;
  /** The further arguments. */
  readonly args?: readonly (Argument | Key)[];
  /** Whether regions among the arguments identify the target, so that nothing else has to. */
  readonly keysTell?: boolean;
  readonly isRepeatable: boolean;
  /** Where the bytes of the reply go. */
  readonly into?: Uint8Array;
  /** Approximate size of request and reply, in bytes. */
  readonly cost?: number;
  /** Converts the reply to the result. Throws if the reply has the wrong form. */
  readonly result: (reply: Reply) => T;
}

/** Any other command. */
export class OtherCommand<T> extends DaemonCommand<T> {
  constructor(
    target: TargetName | undefined,
    private readonly parts: CommandParts<T>,
  ) {
    super(target, parts.isRepeatable, parts.into);
    this.cost = parts.cost ?? 0;
  }

  encode(output: RequestWriter): void {
    const { name, ref, args = [], keysTell = false } = this.parts;
    const target = this.target === this.chosen ? undefined : this.target;
    const all: Argument[] = [name];
    if (ref !== undefined) all.push(new Key(ref).argument(target));
    for (const each of args) all.push(each instanceof Key ? each.argument(target) : each);
    if (ref === undefined && !keysTell && this.target !== undefined) all.push('AT', this.target.text);
    encodeArguments(output, all);
  }

  protected result(reply: Reply): T {
    return this.parts.result(reply);
  }
}
