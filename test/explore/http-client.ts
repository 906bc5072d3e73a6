/**
 * A client of the HTTP door: requests one behind the other on a connection, whose heads and bodies
 * come in pieces of any length, and connections that break off in the middle. Requests of one
 * connection must look as if they were carried out in their order, and of a body that broke off no
 * region may ever appear.
 */
import { contentsOf } from '../crash/program-run.js';
import { HOST, type HttpDoor } from './http-door.js';
import type { Surroundings } from './exploring-client.js';
import { MemoryDuplex } from './memory-duplex.js';
import type { Owned, Span } from './owned.js';
import { WireClient } from './wire-client.js';

const SIZES = [0, 1, 8, 64, 100, 200, 700];
const REFUSALS = [
  'OUT_OF_SPACE',
  'REGION_NOT_FOUND',
  'OUT_OF_RANGE',
  'TARGET_CLOSED',
  'INVALID_ARGUMENT',
  'OVERLOADED',
  'NOT_READY',
];
const REGIONS = '/v1/providers/store/regions';
const NO_BODY = Buffer.alloc(0);

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

interface Asked {
  readonly text: string;
  readonly method: string;
  /** Bytes of the connection up to its end. */
  readonly end: number;
  /** @param answer nothing if the connection is gone */
  readonly answered: (answer: Answer | undefined, wasSent: boolean) => void;
  /** Is given what has come of a body that broke off. */
  readonly broken?: (body: Buffer) => void;
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers?: readonly string[];
  readonly body?: Buffer;
  readonly answered: Asked['answered'];
  readonly broken?: Asked['broken'];
}

interface Listing {
  readonly span: Span;
  readonly limit: number;
  readonly found: { id: string; size: number }[];
}

export class HttpClient extends WireClient<Asked> {
  protected readonly socket: MemoryDuplex;
  #arrived = NO_BODY;
  /** Bytes of requests that were made, and that the daemon has taken. */
  #made = 0;
  #sent = 0;

  constructor(name: string, around: Surroundings, door: HttpDoor) {
    super(name, around, { mostRequests: 4, waitsOneIn: 2, cuts: true });
    const { schedule } = around;
    this.socket = new MemoryDuplex(schedule, (bytes) => this.#take(bytes));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => {
      try {
        this.#left();
      } catch (error) {
        schedule.fail(error);
      }
    });
    door.connect(this.socket);
  }

  protected async send(bytes: Buffer, isCut: boolean): Promise<void> {
    const { schedule } = this.around;
    const end = isCut ? schedule.random.below(bytes.length + 1) : bytes.length;
    for (let at = 0; at < end && !this.isGone;) {
      await schedule.pause();
      const length = 1 + schedule.random.below(end - at);
      if (!(await this.socket.arrive(bytes.subarray(at, at + length)))) return;
      at += length;
      this.#sent += length;
    }
  }

  #left(): void {
    this.isGone = true;
    const [first, ...rest] = this.asked.splice(0);
    if (first === undefined) return;
    const begun = this.#headOf(this.#arrived);
    if (begun?.status === 200 || begun?.status === 206) first.broken?.(this.#arrived.subarray(begun.end));
    for (const { end, answered } of [first, ...rest]) answered(undefined, end <= this.#sent);
  }

  // ---- requests ----

  #ask({ method, path, headers = [], body, answered, broken }: Request): Buffer {
    const { note } = this.around;
    const lines = [`${method} ${path} HTTP/1.1`, `Host: ${HOST}`, ...headers];
    const bytes = Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body ?? NO_BODY]);
    const text = `${this.name} ${method} ${path} (${body?.length ?? 0} bytes)`;
    this.#made += bytes.length;
    this.asked.push({
      text,
      method,
      end: this.#made,
      answered: (answer, wasSent) => {
        note(`${text}: ${answer === undefined ? 'never answered' : `${answer.status}`}`);
        answered(answer, wasSent);
      },
      ...(broken !== undefined && { broken }),
    });
    return bytes;
  }

  protected requests(): Buffer[] {
    const { random } = this.around.schedule;
    const id = this.someId();
    if (id === undefined || random.below(4) === 0) return [this.#create()];
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
        return [this.#list()];
      default:
        // What is written is read behind it, often the same bytes, sometimes others.
        return [
          this.#write(id),
          this.#read(id),
          ...(random.below(4) === 0 ? [this.#erase(id), this.#read(id)] : []),
        ];
    }
  }

  /** A body with its length before it, or in chunks of any length. */
  #bodyOf(bytes: Buffer): { headers: string[]; body: Buffer } {
    const { random } = this.around.schedule;
    if (random.below(3) > 0) return { headers: [`Content-Length: ${bytes.length}`], body: bytes };
    const parts: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const chunk = bytes.subarray(at, at + 1 + random.below(bytes.length - at));
      parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
      at += chunk.length;
    }
    return {
      headers: ['Transfer-Encoding: chunked'],
      body: Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]),
    };
  }

  #create(): Buffer {
    const { ownership, schedule, nextNumber } = this.around;
    const { random } = schedule;
    const size = random.pick(SIZES);
    const contents = random.below(3) > 0 ? Buffer.from(contentsOf(nextNumber(), size)) : undefined;
    const owned = ownership.beginCreate(size, contents, ownership.begin(this.lane));
    const answered = (answer: Answer | undefined, wasSent: boolean): void =>
      this.#created(owned, answer, wasSent);
    const path = `${REGIONS}?size=${size}`;
    if (contents === undefined) return this.#ask({ method: 'POST', path, answered });
    return this.#ask({
      method: 'POST',
      path: `${path}&persist=${random.below(2) === 0}`,
      ...this.#bodyOf(contents),
      answered,
    });
  }

  #created(owned: Owned, answer: Answer | undefined, wasSent: boolean): void {
    const { ownership } = this.around;
    // Of contents that did not come as a whole nothing may appear.
    if (answer === undefined && wasSent) ownership.lostCreate(owned);
    else if (answer === undefined) ownership.notCreated(owned);
    else if (this.#isRefused(answer, owned)) return;
    else ownership.created(owned, (JSON.parse(answer.body.toString()) as { id: string }).id);
  }

  #write(id: string): Buffer {
    const { ownership, schedule, nextNumber } = this.around;
    const { offset, size } = this.part(id);
    const bytes = Buffer.from(contentsOf(nextNumber(), size));
    const span = ownership.begin(this.lane);
    const end = ownership.beginWrite(id, offset, bytes, span);
    const { headers, body } = this.#bodyOf(bytes);
    const isChunked = headers[0]?.startsWith('Transfer') === true;
    const persist = schedule.random.below(2) === 0;
    return this.#ask({
      method: 'PUT',
      path: `${REGIONS}/${id}?offset=${offset}&persist=${persist}${isChunked ? `&size=${size}` : ''}`,
      headers,
      body,
      answered: (answer) => {
        if (!this.#isMissing(id, span, answer)) end();
      },
    });
  }

  #read(id: string): Buffer {
    const { ownership, schedule } = this.around;
    const { offset, size } = this.part(id);
    const isPart = size > 0 && schedule.random.below(2) === 0;
    const from = isPart ? offset : 0;
    const wanted = isPart ? size : ownership.find(id)?.size;
    const span = ownership.begin(this.lane);
    return this.#ask({
      method: 'GET',
      path: `${REGIONS}/${id}`,
      ...(isPart && { headers: [`Range: bytes=${offset}-${offset + size - 1}`] }),
      answered: (answer) => {
        if (this.#isMissing(id, span, answer)) return;
        const { body } = answer as Answer;
        if (body.length !== wanted) throw new Error(`a read of ${wanted} bytes gave ${body.length}`);
        ownership.saw(id, from, body, span);
      },
      broken: (body) => ownership.saw(id, from, body, span),
    });
  }

  #persist(id: string): Buffer {
    const { schedule, ownership } = this.around;
    const span = ownership.begin(this.lane);
    const body = Buffer.from(JSON.stringify({ ranges: [this.part(id)] }));
    return this.#ask({
      method: 'POST',
      path: `${REGIONS}/${id}/persist`,
      ...(schedule.random.below(2) === 0 && {
        headers: ['Content-Type: application/json', `Content-Length: ${body.length}`],
        body,
      }),
      answered: (answer) => void this.#isMissing(id, span, answer),
    });
  }

  #stat(id: string): Buffer {
    const { ownership } = this.around;
    const span = ownership.begin(this.lane);
    return this.#ask({
      method: 'HEAD',
      path: `${REGIONS}/${id}`,
      answered: (answer) => {
        if (this.#isMissing(id, span, answer)) return;
        const size = ownership.find(id)?.size;
        if (answer?.headers.get('content-length') !== String(size))
          throw new Error(`the region ${id} of ${size} bytes has another length`);
        ownership.saw(id, 0, NO_BODY, span);
      },
    });
  }

  #erase(id: string): Buffer {
    const { ownership } = this.around;
    const span = ownership.begin(this.lane);
    ownership.beginErase(id, span);
    return this.#ask({
      method: 'DELETE',
      path: `${REGIONS}/${id}`,
      answered: (answer) => {
        if (answer === undefined || this.#isUncertain(answer)) ownership.lostErase(id, span);
        else if (this.#isMissing(id, span, answer)) ownership.notErased(id, span);
        else ownership.erased(id, span);
      },
    });
  }

  #list(): Buffer {
    const { ownership, schedule } = this.around;
    const limit = schedule.random.pick([1, 2, 1000]);
    return this.#page({ span: ownership.begin(this.lane), limit, found: [] }, '');
  }

  /** A page, and then the next. */
  #page(listing: Listing, after: string): Buffer {
    const { span, limit, found } = listing;
    return this.#ask({
      method: 'GET',
      path: `${REGIONS}?limit=${limit}${after}`,
      answered: (answer) => {
        if (answer === undefined || this.#isRefused(answer)) return;
        const page = JSON.parse(answer.body.toString()) as { regions: typeof found; next?: string };
        found.push(...page.regions);
        const { next } = page;
        if (next !== undefined) this.next.push(() => this.#page(listing, `&after=${next}`));
        else this.around.ownership.listed(found, span);
      },
    });
  }

  /** @param owned what was to be made @throws if it is a failure that must not be */
  #isRefused({ status, body, headers }: Answer, owned?: Owned): boolean {
    if (status < 400) return false;
    const code = headers.get('error-code') ?? '';
    const { ownership, failures } = this.around;
    if (failures.areUncertain(code)) {
      if (owned !== undefined) ownership.lostCreate(owned);
      return true;
    }
    if (!REFUSALS.includes(code)) throw new Error(`${this.name} was answered ${status} ${body.toString()}`);
    if (owned !== undefined) ownership.notCreated(owned);
    return true;
  }

  /** Whether nobody knows what has become of a change. */
  #isUncertain({ headers }: Answer): boolean {
    return this.around.failures.areUncertain(headers.get('error-code') ?? '');
  }

  #isMissing(id: string, span: Span, answer: Answer | undefined): boolean {
    if (answer === undefined) return true;
    if (!this.#isRefused(answer)) return false;
    if (answer.headers.get('error-code') === 'REGION_NOT_FOUND') this.around.ownership.missed(id, span);
    return true;
  }

  // ---- answers ----

  #take(bytes: Buffer): void {
    this.#arrived = Buffer.concat([this.#arrived, bytes]);
    for (;;) {
      const head = this.#headOf(this.#arrived);
      if (head === undefined) return;
      const [asked] = this.asked;
      if (asked === undefined)
        throw new Error(`${this.name} was answered ${head.status}, and had asked nothing`);
      const hasBody = asked.method !== 'HEAD' && head.status !== 204;
      const end = head.end + (hasBody ? Number(head.headers.get('content-length')) : 0);
      if (Number.isNaN(end)) throw new Error(`an answer to ${asked.text} has no length`);
      if (this.#arrived.length < end) return;
      const body = this.#arrived.subarray(head.end, end);
      this.#arrived = this.#arrived.subarray(end);
      this.asked.shift();
      asked.answered({ ...head, body }, true);
    }
  }

  #headOf(bytes: Buffer): (Omit<Answer, 'body'> & { end: number }) | undefined {
    const end = bytes.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
      }),
    );
    return { status: Number(first.split(' ')[1]), headers, end: end + 4 };
  }
}
