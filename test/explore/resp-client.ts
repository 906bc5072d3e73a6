/**
 * A client of the Redis door: the real connection of the daemon, and behind it the target, with
 * pipelines that come in pieces of any length and connections that break off. Requests of one
 * connection must look as if they were carried out in their order.
 */
import type { Socket } from 'node:net';
import type { Target } from '../../core/index.js';
import { ByteBudget } from '../../core/net/byte-budget.js';
import { Connection } from '../../core/resp/connection.js';
import { Cursors } from '../../core/resp/cursors.js';
import type { Door } from '../../core/resp/door.js';
import { UploadWatch } from '../../core/resp/uploads.js';
import { AdmissionQueue } from '../../core/runtime/admission-queue.js';
import type { RunningProvider } from '../../core/runtime/running-provider.js';
import { ServedTarget } from '../../core/runtime/served-target.js';
import { contentsOf } from '../crash/program-run.js';
import type { Surroundings } from './exploring-client.js';
import { MemorySocket } from './memory-socket.js';
import type { Owned, Span } from './owned.js';
import type { Schedule } from './schedule.js';
import { WireClient } from './wire-client.js';

/** Bulk strings as bytes; lines, numbers and failures as text with their first letter. */
type Answer = string | Buffer | null | readonly Answer[];

const SIZES = [0, 1, 8, 64, 100, 200, 700];
const REFUSALS = [
  'OUT_OF_SPACE',
  'REGION_NOT_FOUND',
  'OUT_OF_RANGE',
  'TARGET_CLOSED',
  'INVALID_ARGUMENT',
  'ABORTED',
  'OVERLOADED',
];

/** What both doors serve. */
export function makeProvider(target: Target, schedule: Schedule): RunningProvider {
  const executionPool = new AdmissionQueue('explored', {
    maxInFlight: schedule.random.pick([1, 2, 256]),
    maxQueued: 4096,
  });
  const provider = { name: 'store', executionPool, targets: [target], state: 'running' };
  const served = new ServedTarget(provider as unknown as RunningProvider, 0, target);
  return { ...provider, served: () => served } as unknown as RunningProvider;
}

export function makeDoor(provider: RunningProvider, schedule: Schedule): Door {
  return {
    limits: {
      maxArguments: 1024,
      maxBulkBytes: 2 ** 20,
      maxRequestBytes: 2 ** 16,
      maxBufferedBytes: 2 ** 12,
      // Small, so that many arguments land where they belong.
      longArgumentBytes: 64,
    },
    daemon: {} as Door['daemon'],
    access: undefined,
    audit: undefined,
    rates: undefined,
    cursors: new Cursors(),
    isReady: () => true,
    served: () => provider.served(0) as ServedTarget,
    arriving: new ByteBudget(Infinity, () => 0),
    replies: new ByteBudget(Infinity, () => 0),
    // No upload gets old.
    uploads: new UploadWatch(2 ** 30),
    noteEvicted: () => undefined,
    logFailure: (error) => schedule.fail(error),
  };
}

interface Asked {
  readonly text: string;
  /** @param answer nothing if the connection is gone */
  readonly answered: (answer: Answer | undefined) => void;
}

let connections = 0;

export class RespClient extends WireClient<Asked> {
  protected readonly socket: MemorySocket;
  readonly #connection: Connection;
  #arrived = Buffer.alloc(0);
  #room: Buffer | undefined;

  constructor(name: string, around: Surroundings, door: Door) {
    super(name, around, { mostRequests: 6, waitsOneIn: 3, cuts: false });
    const { schedule } = around;
    this.socket = new MemorySocket(schedule, (bytes) => this.#take(bytes));
    this.#connection = new Connection(++connections, door);
    this.#connection.attach(this.socket as unknown as Socket);
    this.socket.on('close', () => {
      this.isGone = true;
      this.#connection.closed();
      for (const { answered } of this.asked.splice(0)) answered(undefined);
    });
  }

  /** In pieces, each when it is its turn, as the daemon reads. */
  protected async send(bytes: Buffer): Promise<void> {
    const { schedule } = this.around;
    for (let at = 0; at < bytes.length && !this.isGone;) {
      // As net has it: the room for what comes is given out when the last piece was taken, and filled later.
      this.#room ??= this.#connection.room();
      await schedule.pause();
      await this.socket.readable();
      if (this.socket.destroyed) return;
      const room = this.#room;
      this.#room = undefined;
      const length = Math.min(room.length, 1 + schedule.random.below(bytes.length - at));
      // One that all connections share is filled when it is looked at.
      bytes.copy(room, 0, at, at + length);
      at += length;
      if (!this.#connection.received(length, room)) this.socket.pause();
      this.#room = this.#connection.room();
    }
  }

  // ---- requests ----

  #ask(words: readonly (string | Uint8Array)[], answered: Asked['answered']): Buffer {
    const { note } = this.around;
    const text = `${this.name} ${words.map((word) => (typeof word === 'string' ? word : `(${word.length} bytes)`)).join(' ')}`;
    this.asked.push({
      text,
      answered: (answer) => {
        note(
          `${text}: ${answer === undefined ? 'never answered' : typeof answer === 'string' ? answer : 'done'}`,
        );
        answered(answer);
      },
    });
    return encode(words);
  }

  protected requests(): Buffer[] {
    const { random } = this.around.schedule;
    const id = this.someId();
    if (id === undefined || random.below(5) === 0)
      return random.below(3) === 0 ? this.#upload() : [this.#create()];
    switch (random.below(9)) {
      case 0:
        return [this.#erase(id)];
      case 1:
        return [this.#read(id)];
      case 2:
        return [this.#persist(id)];
      case 3:
        return [this.#stat(id)];
      case 4:
        return [random.below(2) === 0 ? this.#list() : this.#scan()];
      default:
        // What is written is read behind it, often the same bytes, sometimes others.
        return [
          this.#write(id),
          this.#read(id),
          ...(random.below(4) === 0 ? [this.#erase(id), this.#read(id)] : []),
        ];
    }
  }

  #create(): Buffer {
    const { ownership, schedule, nextNumber } = this.around;
    const size = schedule.random.pick(SIZES);
    const contents = schedule.random.below(2) === 0 ? contentsOf(nextNumber(), size) : undefined;
    const owned = ownership.beginCreate(size, contents, ownership.begin(this.lane));
    const words = [
      'BLOB.CREATE',
      String(size),
      ...(contents === undefined ? [] : ['DATA', contents, 'PERSIST']),
    ];
    return this.#ask(words, (answer) => this.#created(owned, answer));
  }

  #created(owned: Owned, answer: Answer | undefined): void {
    const { ownership } = this.around;
    if (answer === undefined || this.#isUncertain(answer)) ownership.lostCreate(owned);
    else if (this.#isRefused(answer)) ownership.notCreated(owned);
    else ownership.created(owned, String(answer));
  }

  /** A region that comes in parts; it may be given up, and must never appear then. */
  #upload(): Buffer[] {
    const { ownership, schedule, nextNumber } = this.around;
    const { random } = schedule;
    const size = random.pick(SIZES);
    const contents = contentsOf(nextNumber(), size);
    const number = String(++this.#uploads);
    const cut = random.below(size + 1);
    const requests = [
      this.#ask(['BLOB.UPLOAD', String(size)], (answer) => {
        // Numbers are given to those that begin only.
        if (answer !== undefined && this.#isRefused(answer)) this.#uploads--;
      }),
      this.#ask(['BLOB.UPLOAD.PART', number, contents.subarray(0, cut)], (answer) => this.#isRefused(answer)),
      this.#ask(['BLOB.UPLOAD.PART', number, contents.subarray(cut)], (answer) => this.#isRefused(answer)),
    ];
    if (random.below(2) === 0) {
      requests.push(this.#ask(['BLOB.UPLOAD.CANCEL', number], (answer) => this.#isRefused(answer)));
    } else {
      const owned = ownership.beginCreate(size, contents, ownership.begin(this.lane));
      requests.push(this.#ask(['BLOB.UPLOAD.END', number], (answer) => this.#created(owned, answer)));
    }
    return requests;
  }

  #uploads = 0;

  #write(id: string): Buffer {
    const { ownership, schedule, nextNumber } = this.around;
    const { offset, size } = this.part(id);
    const bytes = contentsOf(nextNumber(), size);
    const span = ownership.begin(this.lane);
    const end = ownership.beginWrite(id, offset, bytes, span);
    const how = schedule.random.below(3);
    const command = how === 0 ? 'SETRANGE' : how === 1 ? 'BLOB.WRITE' : 'BLOB.WRITEV';
    return this.#ask([command, id, String(offset), bytes], (answer) => {
      if (!this.#isMissing(id, span, answer)) end();
    });
  }

  #read(id: string): Buffer {
    const { ownership, schedule } = this.around;
    const { offset, size } = this.part(id);
    const span = ownership.begin(this.lane);
    const isVectored = schedule.random.below(3) === 0;
    return this.#ask(
      [isVectored ? 'BLOB.READV' : 'BLOB.READ', id, String(offset), String(size)],
      (answer) => {
        if (this.#isMissing(id, span, answer)) return;
        const bytes = Array.isArray(answer) ? (answer[0] as Buffer) : (answer as Buffer);
        if (bytes.length !== size) throw new Error(`a read of ${size} bytes gave ${bytes.length}`);
        ownership.saw(id, offset, bytes, span);
      },
    );
  }

  #persist(id: string): Buffer {
    const span = this.around.ownership.begin(this.lane);
    return this.#ask(['BLOB.PERSIST', id], (answer) => void this.#isMissing(id, span, answer));
  }

  #stat(id: string): Buffer {
    const { ownership } = this.around;
    const span = ownership.begin(this.lane);
    return this.#ask(['STRLEN', id], (answer) => {
      if (!this.#isMissing(id, span, answer)) ownership.saw(id, 0, new Uint8Array(0), span);
    });
  }

  #list(): Buffer {
    const { ownership, schedule } = this.around;
    const limit = String(schedule.random.pick([1, 2, 1000]));
    const span = ownership.begin(this.lane);
    const found: { id: string; size: number }[] = [];
    const page = (after: readonly string[]): Buffer =>
      this.#ask(['BLOB.LIST', ...after, 'COUNT', limit], (answer) => {
        if (this.#isRefused(answer)) return;
        const [next, regions] = answer as [Buffer | null, readonly [Buffer, string][]];
        for (const [id, size] of regions) found.push({ id: String(id), size: Number(size.slice(1)) });
        if (next !== null) this.next.push(() => page(['AFTER', String(next)]));
        else ownership.listed(found, span);
      });
    return page([]);
  }

  /** The same by the protocol's own command, which tells no sizes. */
  #scan(): Buffer {
    const { ownership, schedule } = this.around;
    const limit = String(schedule.random.pick([1, 2, 1000]));
    const span = ownership.begin(this.lane);
    const found: { id: string; size?: number }[] = [];
    const page = (cursor: string): Buffer =>
      this.#ask(['SCAN', cursor, 'COUNT', limit], (answer) => {
        if (this.#isRefused(answer)) return;
        const [next, ids] = answer as [Buffer, readonly Buffer[]];
        // Of a region with a name it tells that.
        for (const id of ids) if (id.length === 32) found.push({ id: String(id) });
        if (String(next) !== '0') this.next.push(() => page(String(next)));
        else ownership.listed(found, span, { hasNamed: false });
      });
    return page('0');
  }

  #erase(id: string): Buffer {
    const { ownership } = this.around;
    const span = ownership.begin(this.lane);
    ownership.beginErase(id, span);
    return this.#ask(['BLOB.ERASE', id], (answer) => {
      if (answer === undefined || this.#isUncertain(answer)) ownership.lostErase(id, span);
      else if (this.#isMissing(id, span, answer)) ownership.notErased(id, span);
      else ownership.erased(id, span);
    });
  }

  /** Whether nobody knows what has become of a change. */
  #isUncertain(answer: Answer): boolean {
    const code = typeof answer === 'string' ? /^-(\w+)/.exec(answer)?.[1] : undefined;
    return code !== undefined && this.around.failures.areUncertain(code);
  }

  /** @throws if it is a failure that must not be */
  #isRefused(answer: Answer | undefined): boolean {
    if (answer === undefined) return true;
    if (typeof answer !== 'string' || !answer.startsWith('-')) return false;
    if (REFUSALS.some((code) => answer.startsWith(`-${code} `)) || this.#isUncertain(answer)) return true;
    throw new Error(`${this.name} was answered ${answer}`);
  }

  #isMissing(id: string, span: Span, answer: Answer | undefined): boolean {
    if (!this.#isRefused(answer)) return false;
    if (typeof answer === 'string' && answer.startsWith('-REGION_NOT_FOUND'))
      this.around.ownership.missed(id, span);
    return true;
  }

  // ---- answers ----

  #take(bytes: Buffer): void {
    this.#arrived = Buffer.concat([this.#arrived, bytes]);
    for (;;) {
      const parsed = decode(this.#arrived, 0);
      if (parsed === undefined) return;
      this.#arrived = this.#arrived.subarray(parsed.end);
      const asked = this.asked.shift();
      if (asked === undefined) throw new Error(`${this.name} was answered, and had asked nothing`);
      asked.answered(parsed.answer);
    }
  }
}

function encode(words: readonly (string | Uint8Array)[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${words.length}\r\n`)];
  for (const word of words)
    parts.push(Buffer.from(`$${word.length}\r\n`), Buffer.from(word as string), Buffer.from('\r\n'));
  return Buffer.concat(parts);
}

/** @returns nothing if the answer is not whole yet */
function decode(bytes: Buffer, from: number): { answer: Answer; end: number } | undefined {
  const lineEnd = bytes.indexOf('\r\n', from);
  if (lineEnd < 0) return undefined;
  const line = bytes.toString('latin1', from, lineEnd);
  const count = Number(line.slice(1));
  let end = lineEnd + 2;
  if (line.startsWith('$')) {
    if (count < 0) return { answer: null, end };
    if (bytes.length < end + count + 2) return undefined;
    return { answer: bytes.subarray(end, end + count), end: end + count + 2 };
  }
  if (!line.startsWith('*')) return { answer: line, end };
  const answers: Answer[] = [];
  for (let left = count; left > 0; left--) {
    const each = decode(bytes, end);
    if (each === undefined) return undefined;
    answers.push(each.answer);
    end = each.end;
  }
  return { answer: answers, end };
}
