/** Replies of the Redis protocol, as values. */

/** Simple strings are strings, bulk strings are bytes; a map of version 2 is an array of keys and values. */
export type Reply = Scalar | Buffer | ReplyError | readonly Reply[] | ReplyMap;

type Scalar = null | boolean | number | bigint | string;

export type ReplyMap = ReadonlyMap<string, Reply>;

/** An error reply: `-CODE message`. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError';
  /** The first word. */
  readonly code: string;
  /** The text after it. */
  readonly text: string;

  constructor(line: string) {
    super(line);
    const blank = line.indexOf(' ');
    this.code = blank < 0 ? line : line.slice(0, blank);
    this.text = blank < 0 ? '' : line.slice(blank + 1);
  }
}

/** A bulk string, a simple string or a number as text; empty for other values. */
export function textOf(reply: Reply | undefined): string {
  if (Buffer.isBuffer(reply)) return reply.toString();
  return typeof reply === 'object' ? '' : String(reply);
}
