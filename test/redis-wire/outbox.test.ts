/** What is gathered goes out in its order, and takes no more memory than its bytes while nobody takes it. */
import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { BY_REFERENCE_BYTES, Outbox } from '../../core/redis-wire/outbox.js';
import { turns } from '../fixtures/held-time.js';

/** A socket that takes what it is sent when it is told to. */
class Stalled extends Writable {
  readonly pieces: Uint8Array[] = [];
  #done: (() => void) | undefined;
  /** Copied when it is taken, as the buffer may be used again from then on. */
  #text = '';

  constructor() {
    super({ highWaterMark: 2 ** 30 });
  }

  override _write(bytes: Uint8Array, _encoding: string, done: () => void): void {
    this.pieces.push(bytes);
    this.#done = done;
  }

  /** Takes everything, one piece a turn. */
  async take(): Promise<void> {
    while (this.#done !== undefined) {
      const done = this.#done;
      this.#done = undefined;
      this.#text += Buffer.from(this.pieces.at(-1) as Uint8Array).toString('latin1');
      done();
      await turns();
    }
  }

  get text(): string {
    return this.#text;
  }
}

function open(): { socket: Stalled; outbox: Outbox; send: (text: string) => void } {
  const socket = new Stalled();
  const outbox = new Outbox();
  const send = (text: string): void => {
    outbox.reserve(text.length);
    outbox.text(text);
    outbox.send(socket as unknown as Socket);
  };
  return { socket, outbox, send };
}

describe('an outbox', () => {
  it('writes behind what waits, into the same buffer', async () => {
    const { socket, send } = open();
    const texts = Array.from({ length: 100 }, (_, index) => `part ${index}\r\n`);
    for (const text of texts) send(text);
    await socket.take();
    expect(socket.text).toBe(texts.join(''));
    expect(new Set(socket.pieces.map(({ buffer }) => buffer)).size).toBe(1);
  });

  it('sends large parts where they are, in their place', async () => {
    const { socket, outbox, send } = open();
    const large = Buffer.alloc(BY_REFERENCE_BYTES, 'x');
    outbox.reserve(8);
    outbox.text('before');
    outbox.reference(large);
    send('behind');
    await socket.take();
    expect(socket.text).toBe(`before${large.toString()}behind`);
    expect(socket.pieces.some(({ buffer }) => buffer === large.buffer)).toBe(true);
  });

  it('takes back what was added last, across large parts', async () => {
    const { socket, outbox, send } = open();
    outbox.reserve(8);
    outbox.text('kept');
    const { gatheredBytes } = outbox;
    outbox.text('not');
    outbox.reference(Buffer.alloc(BY_REFERENCE_BYTES));
    outbox.reserve(2 ** 16);
    outbox.text('this');
    outbox.undo(outbox.gatheredBytes - gatheredBytes);
    send(' too');
    await socket.take();
    expect(socket.text).toBe('kept too');
  });

  it('keeps every byte while buffers are used again', async () => {
    const { socket, send } = open();
    let all = '';
    for (let round = 0; round < 20; round++) {
      for (let part = 0; part < 20; part++) {
        const text = `${round}.${part}`.padEnd(1 + ((round * 997 + part * 331) % 9000), 'y');
        all += text;
        send(text);
      }
      if (round % 3 === 0) await socket.take();
    }
    await socket.take();
    expect(socket.text === all).toBe(true);
  });
});
