/**
 * Commands that make a region of contents which do not fit into one request, or are not all known yet. The region appears at the
 * end; until then there is only a number, which is good on this connection alone. The reply to a part comes when the target has
 * taken it, and that is what slows a sender down.
 */
import type { RegionId } from '../target/index.js';
import { WAIT, type Command, type Run } from './command.js';
import { OK_LINE, creationOptions, invalid } from './region-arguments.js';
import { OK } from './replies.js';
import { Upload } from './uploads.js';

/** Uploads of one connection at once. */
export const MAX_UPLOADS = 16;

/** BLOB.UPLOAD size [PERSIST] [AT provider] */
const begin: Run = (request, client, reply) => {
  const size = request.size(1, 'size');
  const { persist, place } = creationOptions(request, client, 2);
  if (client.uploads.count >= MAX_UPLOADS)
    throw invalid(`a connection has at most ${MAX_UPLOADS} uploads at once`);
  client.answer(reply, client.uploads.add(new Upload(place, size, persist)));
  return undefined;
};

/** BLOB.UPLOAD.PART number bytes */
const part: Run = (request, client, reply) => {
  const upload = client.uploads.get(request.size(1, 'number'));
  if (upload.isBusy) return WAIT;
  const bytes = request.bytes(2);
  client.operate(
    {
      operation: 'write',
      place: upload.place,
      bytes: bytes.length,
      keepsInput: true,
      call: () => upload.give(bytes),
      answer: (_taken, to) => (to.head = OK_LINE),
    },
    reply,
  );
  return undefined;
};

/** BLOB.UPLOAD.END number */
const end: Run = (request, client, reply) => {
  const number = request.size(1, 'number');
  const upload = client.uploads.get(number);
  if (upload.isBusy) return WAIT;
  client.operate<RegionId>(
    {
      operation: 'create',
      place: upload.place,
      bytes: 0,
      keepsInput: false,
      call: () => {
        // Not before: a request that is not admitted leaves everything as it is.
        client.uploads.remove(number);
        return upload.complete();
      },
      answer: (id, to) => (to.head = `$32\r\n${id.toString()}\r\n`),
    },
    reply,
  );
  return undefined;
};

/** BLOB.UPLOAD.CANCEL number */
const cancel: Run = (request, client, reply) => {
  const number = request.size(1, 'number');
  const upload = client.uploads.get(number);
  client.uploads.remove(number);
  void upload.abandon().then(() => client.answer(reply, OK));
  return undefined;
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
