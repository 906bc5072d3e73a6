/**
 * Commands that make a region of contents which do not fit into one request, or are not all known yet. The region appears at the
 * end; until then there is only a number, which is good on this connection alone. The reply to a part comes when the target has
 * taken it, and that is what slows a sender down.
 */
import { BedrockError } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import { type Command, type CommandClient, type Run, WAIT } from './command.js';
import type { OperationCall } from './operation-call.js';
import { creationOptions, OK_LINE } from './region-arguments.js';
import type { Upload } from './uploads.js';

/** Uploads of one connection at once. */
export const MAX_UPLOADS = 256;

/** BLOB.UPLOAD size [PERSIST] [AT provider] */
const begin: Run = (request, client) => {
  const size = request.size(1, 'size');
  const { persist, place } = creationOptions(request, client, 2);
  client.calls.operate({
    operation: 'create',
    place,
    bytes: 0,
    call: async () => {
      if (client.uploads.count >= MAX_UPLOADS)
        throw new BedrockError('OVERLOADED', `a connection has at most ${MAX_UPLOADS} uploads at once`);
      const { number, upload } = client.uploads.begin(place, size, persist);
      try {
        // Safe: whoever gives uploads up meanwhile gives this one up too, and its number is then unknown.
        await upload.begun;
      } catch (error) {
        client.uploads.remove(number);
        throw error;
      }
      return number;
    },
    answer: (number, to) => (to.head = `:${number}\r\n`),
  });
  return undefined;
};

/** A step of an upload. They come one after another, also where they wait for their admission. */
function step<T>(
  client: CommandClient,
  upload: Upload,
  call: Pick<OperationCall<T>, 'bytes' | 'kept' | 'call' | 'answer'>,
): undefined {
  upload.claim();
  client.calls.operate<T>({
    operation: 'write',
    place: upload.place,
    ...call,
    whenEnded: upload.unclaim,
  });
}

/** BLOB.UPLOAD.PART number bytes */
const part: Run = (request, client) => {
  const upload = client.uploads.get(request.size(1, 'number'));
  if (upload.isClaimed) return WAIT;
  const kept = client.keep(2);
  return step(client, upload, {
    bytes: kept.bytes.length,
    kept,
    call: () => upload.give(kept.bytes),
    answer: (_taken, to) => (to.head = OK_LINE),
  });
};

/** BLOB.UPLOAD.END number */
const end: Run = (request, client) => {
  const number = request.size(1, 'number');
  const upload = client.uploads.get(number);
  if (upload.isClaimed) return WAIT;
  return step<RegionId>(client, upload, {
    bytes: 0,
    call: () => {
      // Not before: a request that is not admitted leaves everything as it is. Safe: the end of the connection gives the upload up that
      // waits here, which cannot be completed then; later it does not know of it any more, and the region is made.
      client.uploads.remove(number);
      return upload.complete();
    },
    answer: (id, to) => (to.head = `$32\r\n${id.toString()}\r\n`),
  });
};

/** BLOB.UPLOAD.CANCEL number */
const cancel: Run = (request, client) => {
  const number = request.size(1, 'number');
  const upload = client.uploads.get(number);
  if (upload.isClaimed) return WAIT;
  return step(client, upload, {
    bytes: 0,
    call: () => {
      client.uploads.remove(number);
      return upload.abandon();
    },
    answer: (_given, to) => (to.head = OK_LINE),
  });
};

export const UPLOAD_COMMANDS: readonly Command[] = [
  {
    name: 'blob.upload',
    arity: [2, 5],
    run: begin,
    isWrite: true,
    summary: 'Begins a region that comes in parts; gives a number.',
  },
  {
    name: 'blob.upload.part',
    arity: [3, 3],
    run: part,
    isWrite: true,
    summary: 'Gives the next part of a region.',
  },
  {
    name: 'blob.upload.end',
    arity: [2, 2],
    run: end,
    isWrite: true,
    summary: 'Makes the region; gives its ID.',
  },
  {
    name: 'blob.upload.cancel',
    arity: [2, 2],
    run: cancel,
    isWrite: true,
    summary: 'Gives an upload up, and its space back.',
  },
];
