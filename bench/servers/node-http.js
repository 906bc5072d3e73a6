/** Reference: node:http alone. GET / and PUT / of small bodies, GET /large streams from memory. */
import { createServer } from 'node:http';
import { announce, large, PIECE_BYTES, small } from './contents.js';

const bytes = large();
let stored = Buffer.from(small);

const server = createServer((request, response) => {
  if (request.url === '/large') {
    stream(response);
  } else if (request.method === 'PUT') {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => {
      stored = Buffer.concat(parts);
      response.writeHead(204).end();
    });
  } else {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': stored.length });
    response.end(stored);
  }
});

function stream(response) {
  response.writeHead(200, { 'content-length': bytes.length });
  let at = 0;
  const more = () => {
    while (at < bytes.length) {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      at += piece.length;
      if (!response.write(piece)) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
}

server.listen(0, '127.0.0.1', () => announce(server));
