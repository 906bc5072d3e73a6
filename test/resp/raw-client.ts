/** A client of the Redis door that sends what it is told, whole or in pieces, and reads replies as values. */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

/** A reply: errors as `Error`, bulk strings as text unless they are asked for as bytes. */
export type Value = string | number | null | Error | Value[] | Map<string, Value>;

export class RawClient {
  /** What has come since the last reply, in pieces: joining them each time takes a square of the time. */
  #pieces: Buffer[] = [];
  #size = 0;
  /** So many bytes the next reply has at least. */
  #least = 1;
  #waiting: (() => void) | undefined;
  #isEnded = false;

  private constructor(readonly socket: Socket) {
    socket.on('data', (bytes) => {
      this.#pieces.push(bytes);
      this.#size += bytes.length;
      this.#wake();
    });
    socket.on('error', () => undefined);
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#isEnded = true;
        this.#wake();
      });
    }
  }

  static async connect(to: { port: number; host: string } | { path: string }): Promise<RawClient> {
    const socket = connect({ ...to, allowHalfOpen: true });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.();
  }

  send(...request: (string | number | Uint8Array)[]): void {
    this.socket.write(encode(...request));
  }

  async call(...request: (string | number | Uint8Array)[]): Promise<Value> {
    this.send(...request);
    return this.reply();
  }

  /** The next reply. @throws if the connection ends before it */
  async reply(): Promise<Value> {
    for (;;) {
      if (this.#size >= this.#least) {
        const [first, ...more] = this.#pieces;
        const received = first !== undefined && more.length === 0 ? first : Buffer.concat(this.#pieces);
        const parsed = parse(received, 0);
        const taken = typeof parsed === 'number' ? 0 : parsed.end;
        this.#pieces = [received.subarray(taken)];
        this.#size -= taken;
        this.#least = typeof parsed === 'number' ? parsed : 1;
        if (typeof parsed !== 'number') return parsed.value;
      }
      if (this.#isEnded) throw new Error('the connection has ended');
      await new Promise<void>((resolve) => (this.#waiting = resolve));
    }
  }

  /** Resolves when the daemon has ended the connection. */
  async ended(): Promise<void> {
    while (!this.#isEnded) await new Promise<void>((resolve) => (this.#waiting = resolve));
  }

  close(): void {
    this.socket.destroy();
  }
}

export function encode(...request: (string | number | Uint8Array)[]): Buffer {
  return Buffer.concat([
    Buffer.from(`*${request.length}\r\n`),
    ...request.flatMap((each) => {
      const bytes = typeof each === 'object' ? each : Buffer.from(String(each));
      return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')];
    }),
  ]);
}

/** @returns the reply there, or as how many bytes there must be at least for it to be whole */
function parse(bytes: Buffer, at: number): { value: Value; end: number } | number {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd < 0) return bytes.length + 1;
  const text = bytes.toString('utf8', at + 1, lineEnd);
  const end = lineEnd + 2;
  switch (String.fromCharCode(bytes[at] as number)) {
    case '+':
      return { value: text, end };
    case '-':
      return { value: new Error(text), end };
    case ':':
      return { value: Number(text), end };
    case '_':
      return { value: null, end };
    case '$': {
      const length = Number(text);
      if (length < 0) return { value: null, end };
      if (bytes.length < end + length + 2) return end + length + 2;
      return { value: bytes.toString('latin1', end, end + length), end: end + length + 2 };
    }
    case '*':
    case '~':
    case '%': {
      if (text === '-1') return { value: null, end };
      const isMap = bytes[at] === 37;
      const values: Value[] = [];
      let next = end;
      for (let left = Number(text) * (isMap ? 2 : 1); left > 0; left--) {
        const element = parse(bytes, next);
        if (typeof element === 'number') return element;
        values.push(element.value);
        next = element.end;
      }
      if (!isMap) return { value: values, end: next };
      const map = new Map<string, Value>();
      for (let index = 0; index < values.length; index += 2)
        map.set(values[index] as string, values[index + 1] as Value);
      return { value: map, end: next };
    }
    default:
      throw new Error(`no reply: ${bytes.toString('latin1', at, at + 40)}`);
  }
}

/** The code that an error begins with. */
export function codeOf(value: Value): string {
  if (!(value instanceof Error)) throw new Error(`no error: ${JSON.stringify(value)}`);
  return value.message.split(' ')[0] as string;
}
