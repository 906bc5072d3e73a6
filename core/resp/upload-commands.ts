/**
 * Commands that make a region from contents that do not fit into one request, or are not all known
 * yet. The region appears at the end. Until then there is only a number, which is valid only on
 * this connection. The reply to a part comes when the target has taken it, which slows the sender
 * down.
 */
import { BedrockError } from '../base/errors.js';
import type { RegionId } from '../contract/region-id.js';
import { CHANGES, type Command, command, type CommandSession, type Run, WAIT } from './command.js';
import type { OperationCall } from './operation-call.js';
import { creationOptions, nameArgument, OK_LINE, putCondition, servedOf } from './region-arguments.js';
import type { Request } from './request.js';
import type { ServedTarget } from '../runtime/served-target.js';
import type { MakeRegion, Upload } from './uploads.js';

/** The most uploads of one connection at once. */
export const MAX_UPLOADS = 256;

/**
 * BLOB.UPLOAD size [PERSIST] [NAME name] [AT provider], or BLOB.UPLOAD size PUT name [ABSENT | IF
 * id]
 */
const begin: Run = (request, session) => {
  const size = request.size(1, 'size');
  const { served, make } = wishOf(request, session);
  return session.calls.operate({
    operation: 'create',
    served,
    bytes: 0,
    call: async () => {
      if (session.uploads.count >= MAX_UPLOADS)
        throw new BedrockError('OVERLOADED', `a connection has at most ${MAX_UPLOADS} uploads at once`);
      const { number, upload } = session.uploads.begin(served, size, make);
      try {
        // Safe: a caller that gives up all uploads meanwhile gives up this one too, and its number
        // is no longer valid.
        await upload.begun;
      } catch (error) {
        session.uploads.remove(number);
        throw error;
      }
      return number;
    },
    answer: (number, to) => (to.head = `:${number}\r\n`),
  });
};

/** What the parts will become. */
function wishOf(request: Request, session: CommandSession): { served: ServedTarget; make: MakeRegion } {
  if (request.count < 4 || !request.isWord(2, 'put')) {
    const { persist, name, served } = creationOptions(request, session, 2);
    session.rights.permit(served, name);
    const options = name === undefined ? { persist } : { persist, name };
    return { served, make: (contents) => served.target.createAndWrite(contents, options) };
  }
  const name = nameArgument(request, 3);
  const served = servedOf(request, session, 3);
  session.rights.permit(served, name);
  const condition = putCondition(request, 4);
  return { served, make: (contents) => served.target.put(name, contents, condition) };
}

/** A step of an upload. Steps run one after another, even if they wait for admission. */
function step<T>(
  session: CommandSession,
  upload: Upload,
  call: Pick<OperationCall<T>, 'bytes' | 'kept' | 'call' | 'answer'>,
): undefined {
  upload.claim();
  session.calls.operate<T>({
    operation: 'write',
    served: upload.served,
    ...call,
    whenEnded: upload.unclaim,
  });
}

/** BLOB.UPLOAD.PART number bytes */
const part: Run = (request, session) => {
  const upload = session.uploads.get(request.size(1, 'number'));
  if (upload.isClaimed) return WAIT;
  const kept = session.memory.keep(2);
  return step(session, upload, {
    bytes: kept.bytes.length,
    kept,
    call: () => upload.give(kept.bytes),
    answer: (_taken, to) => (to.head = OK_LINE),
  });
};

/** BLOB.UPLOAD.END number */
const end: Run = (request, session) => {
  const number = request.size(1, 'number');
  const upload = session.uploads.get(number);
  if (upload.isClaimed) return WAIT;
  return step<RegionId>(session, upload, {
    bytes: 0,
    call: () => {
      // Not earlier: a request that is not admitted changes nothing. Safe: if the connection ends
      // during the wait, it gives up the upload, which then cannot be completed. If it ends later,
      // it no longer knows the upload, and the region is made.
      session.uploads.remove(number);
      return upload.complete();
    },
    answer: (id, to) => (to.head = `$32\r\n${id.toString()}\r\n`),
  });
};

/** BLOB.UPLOAD.CANCEL number */
const cancel: Run = (request, session) => {
  const number = request.size(1, 'number');
  const upload = session.uploads.get(number);
  if (upload.isClaimed) return WAIT;
  return step(session, upload, {
    bytes: 0,
    call: () => {
      session.uploads.remove(number);
      return upload.abandon();
    },
    answer: (_given, to) => (to.head = OK_LINE),
  });
};

/**
 * An upload belongs to its connection, and it was allowed to begin. If its client may do less now,
 * its uploads were given up.
 */
const OF_UPLOAD = { isWrite: true, scope: 'known' } as const;

export const UPLOAD_COMMANDS: readonly Command[] = [
  command('blob.upload', [2, 7], begin, 'Begins a region that comes in parts; returns a number.', {
    ...CHANGES,
    of: 'names',
  }),
  command('blob.upload.part', [3, 3], part, 'Sends the next part of a region.', OF_UPLOAD),
  command('blob.upload.end', [2, 2], end, 'Creates the region; returns its ID.', OF_UPLOAD),
  command('blob.upload.cancel', [2, 2], cancel, 'Gives up an upload, and frees its space.', OF_UPLOAD),
];
