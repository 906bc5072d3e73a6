/** What the reference servers serve: the same bytes as the daemon's regions. */
const SMALL_BYTES = 64;

/** Sizes by command line: small ones are what the small requests move, the large one is streamed. */
export const small = Buffer.alloc(SMALL_BYTES, 7);

/** A buffer as large as the region that is streamed. */
export function large() {
  return Buffer.alloc(Number(process.argv[2] ?? 0), 7);
}

/** Bytes of a piece in which large bodies are written. */
export const PIECE_BYTES = 256 * 1024;

/** Says where the server listens, for the one who started it. */
export function announce(server) {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
}
