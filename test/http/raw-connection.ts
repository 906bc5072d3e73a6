/** A bare connection to a daemon, to send what no HTTP client would, and to see each answer as it stands on the wire. */
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import { Answer } from './running-daemon.js';

const HEAD_END = '\r\n\r\n';

export class RawConnection {
  #pieces: Buffer[] = [];
  #size = 0;
  /** Fewer bytes than this make no whole answer, so they are not looked at: to join them for each piece would take very long. */
  #least = 0;
  #isClosed = false;
  #wake: (() => void)[] = [];

  private constructor(readonly socket: Socket) {
    socket.on('data', (bytes: Buffer) => {
      this.#pieces.push(bytes);
      this.#size += bytes.length;
      this.#stir();
    });
    // A reset is an end like any other here.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#isClosed = true;
      this.#stir();
    });
  }

  static open(to: number | NetConnectOpts): Promise<RawConnection> {
    const options = typeof to === 'number' ? { port: to, host: '127.0.0.1' } : to;
    return new Promise((resolve, reject) => {
      const socket = connect({ ...options, noDelay: true }, () => {
        socket.off('error', reject);
        resolve(new RawConnection(socket));
      });
      socket.once('error', reject);
    });
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** What came and no `answer` has taken, as text. */
  get unread(): string {
    return this.#received.toString('latin1');
  }

  get #received(): Buffer {
    const [first, ...more] = this.#pieces;
    if (first === undefined) return Buffer.alloc(0);
    const whole = more.length === 0 ? first : Buffer.concat(this.#pieces);
    this.#pieces = [whole];
    return whole;
  }

  send(bytes: string | Uint8Array): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  /** The next answer. @param hasBody false after HEAD */
  async answer(hasBody = true): Promise<Answer> {
    for (;;) {
      const answer = this.#takeAnswer(hasBody);
      if (answer !== undefined) return answer;
      if (this.#isClosed) throw new Error(`closed after ${JSON.stringify(this.unread)}`);
      await this.#more();
    }
  }

  /** Resolves when the daemon has closed the connection. */
  async closed(): Promise<void> {
    while (!this.#isClosed) await this.#more();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #takeAnswer(hasBody: boolean): Answer | undefined {
    if (this.#size < this.#least) return undefined;
    const received = this.#received;
    const headEnd = received.indexOf(HEAD_END);
    if (headEnd < 0) return undefined;
    const [statusLine = '', ...lines] = received.toString('latin1', 0, headEnd).split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const status = Number(statusLine.split(' ')[1]);
    const bodyStart = headEnd + HEAD_END.length;
    const size = !hasBody || status < 200 || status === 204 ? 0 : Number(headers['content-length'] ?? 0);
    this.#least = bodyStart + size;
    if (received.length < this.#least) return undefined;
    const body = received.subarray(bodyStart, this.#least);
    const rest = received.subarray(this.#least);
    [this.#pieces, this.#size, this.#least] = [[rest], rest.length, 0];
    return new Answer(status, headers, body);
  }

  #more(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #stir(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

/**
 * Waits until the daemon's progress time-out has passed: a request that begins now and does not go on has met it. So has, before,
 * whatever had begun to wait by then.
 */
export async function progressTimeOut(port: number): Promise<void> {
  const connection = await RawConnection.open(port);
  const answer = await connection.send('GET /').answer();
  connection.destroy();
  if (answer.status !== 408) throw new Error(`the answer is ${answer.status}, not 408`);
}

/** The head of a request, with the Host header. */
export function head(line: string, ...headers: string[]): string {
  return [`${line} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n');
}
