/**
 * Clients that ask for much and read it at a trickle, at both doors: what they hold is bounded, and
 * they give way to others.
 */
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { encode } from '../resp/raw-client.js';
import { closeSecured, Secured } from './secured-daemon.js';

const LIMIT = 2 ** 24;
const REGION = 2 ** 26;
const READ = 2 ** 23;

const tricklers = new Set<Socket>();
let timer: NodeJS.Timeout | undefined;

afterEach(async () => {
  clearInterval(timer);
  for (const socket of tricklers) socket.destroy();
  tricklers.clear();
  await closeSecured();
});

interface Door {
  readonly request: (id: string, token: string) => Buffer;
  readonly held: string;
  readonly evicted: string;
  /** So many hold more than there is for all. */
  readonly clients: number;
}

const DOORS: Record<'http' | 'resp', Door> = {
  http: {
    request: (id, token) =>
      Buffer.from(
        `GET /v1/providers/store/regions/${id} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      ),
    held: 'bedrock_http_buffered_bytes',
    evicted: 'bedrock_http_connections_evicted_total',
    clients: 300,
  },
  resp: {
    request: (id, token) => Buffer.concat([encode('AUTH', token), encode('BLOB.READ', id, 0, READ)]),
    held: 'bedrock_resp_buffered_bytes',
    evicted: 'bedrock_resp_connections_evicted_total',
    clients: 4,
  },
};

describe.each(['http', 'resp'] as const)('slow readers over %s', (name) => {
  it('hold no more than is for all, and are closed when others want it', async () => {
    const door = DOORS[name];
    const daemon = await Secured.start({
      isUnix: true,
      bedrock: {
        auth: { tokens: 'tokens.json' },
        http: { max_answers_bytes: LIMIT },
        resp: { unix: 'resp.sock', max_replies_bytes: LIMIT, max_buffered_bytes: LIMIT },
      },
    });
    const id = (await daemon.daemon.target('store').create(REGION)).toString();
    const request = door.request(id, daemon.tokens.reader ?? '');
    const open = (): Socket => {
      const socket = connect(path.join(daemon.folder, `${name}.sock`)).on('error', () => undefined);
      socket.write(request);
      return socket;
    };
    /** Values of the metrics, over a connection of its own. */
    const figure = async (metric: string): Promise<number> => {
      const socket = connect(path.join(daemon.folder, 'http.sock'));
      socket.write(
        `GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${daemon.tokens.admin ?? ''}\r\nConnection: close\r\n\r\n`,
      );
      const pieces: Buffer[] = [];
      for await (const piece of socket as AsyncIterable<Buffer>) pieces.push(piece);
      return Number(new RegExp(`^${metric} (\\d+)$`, 'm').exec(Buffer.concat(pieces).toString())?.[1]);
    };
    for (let count = 0; count < door.clients; count++) tricklers.add(open().pause());
    // Each takes 2 KB a second.
    timer = setInterval(() => {
      for (const socket of tricklers) socket.read(100);
    }, 50);
    for (let looks = 0; looks < 20; looks++) {
      expect(await figure(door.held)).toBeLessThanOrEqual(LIMIT + 2 ** 17);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(await figure(door.held)).toBeGreaterThan(LIMIT / 2);
    // Somebody who reads as fast as it can is served in the end.
    for (let received = 0; received < READ;) {
      received = 0;
      const socket = open();
      for await (const piece of socket as AsyncIterable<Buffer>) {
        received += piece.length;
        if (received >= READ || /OVERLOADED/.test(piece.toString('latin1', 0, 400))) break;
      }
      socket.destroy();
    }
    expect(await figure(door.evicted)).toBeGreaterThan(0);
  });
});
