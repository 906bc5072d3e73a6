/**
 * A client that costs next to nothing, so that the server is what is measured: prepared requests
 * over plain sockets, one in flight on each, and answers counted by their length, which is the same
 * for all.
 */
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { once } from 'node:events';
import { setImmediate } from 'node:timers';

/**
 * Sends `request` again and again over `connections` sockets for a while.
 * @param ca the authority of an `https:` URL
 * @returns requests answered, and the seconds it took
 */
export async function hammer(url, request, { connections, seconds, ca }) {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(url, ca)));
  const length = await answerLength(sockets[0], request);
  let answered = 0;
  let isOver = false;
  const started = process.hrtime.bigint();
  const ends = sockets.map(
    (socket) =>
      new Promise((resolve, reject) => {
        let received = 0;
        socket.on('error', reject);
        socket.on('data', (bytes) => {
          received += bytes.length;
          if (received < length) return;
          received -= length;
          answered++;
          if (isOver) resolve();
          else socket.write(request);
        });
        socket.write(request);
      }),
  );
  setTimeout(() => (isOver = true), seconds * 1000);
  // A client that sleeps has to be woken by the server's writes, which a faster server would pay less often.
  const stayAwake = () => {
    if (!isOver) setImmediate(stayAwake);
  };
  stayAwake();
  await Promise.all(ends);
  const took = Number(process.hrtime.bigint() - started) / 1e9;
  for (const socket of sockets) socket.destroy();
  return { answered, seconds: took };
}

/** Reads one long answer and drops it. @returns bytes a second */
export async function drain(url, request, bodyBytes) {
  const socket = await open(url);
  const started = process.hrtime.bigint();
  socket.write(request);
  let received = 0;
  await new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`the answer ended after ${received} bytes`)));
    socket.on('data', (bytes) => {
      received += bytes.length;
      if (received >= bodyBytes) resolve();
    });
  });
  const took = Number(process.hrtime.bigint() - started) / 1e9;
  socket.removeAllListeners('close').destroy();
  return bodyBytes / took;
}

async function open(url, ca) {
  const to = { host: url.hostname, port: Number(url.port), noDelay: true };
  const isSecure = url.protocol === 'https:';
  const socket = isSecure ? connectTls({ ...to, ca }) : connect(to);
  await once(socket, isSecure ? 'secureConnect' : 'connect');
  return socket;
}

/** The length of a whole answer, head and body. */
async function answerLength(socket, request) {
  socket.write(request);
  let text = '';
  for (;;) {
    const [bytes] = await once(socket, 'data');
    text += bytes.toString('latin1');
    const head = text.indexOf('\r\n\r\n');
    if (head < 0) continue;
    const body = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (!/^HTTP\/1.1 2/.test(text)) throw new Error(text);
    if (text.length >= head + 4 + body) return head + 4 + body;
  }
}
