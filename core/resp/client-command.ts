/** CLIENT: names and state of connections. */
import { invalid } from '../base/errors.js';
import { NEED } from '../security/identity.js';
import type { CommandSession } from './command.js';
import { answering, nameOf } from './connection-commands.js';
import { OK, type Reply } from './replies.js';
import type { Request } from './request.js';

/** The types of connections in Redis: those of ordinary clients, and three that do not exist here. */
const TYPES = ['normal', 'master', 'replica', 'pubsub'] as const;

/**
 * CLIENT SETNAME name | GETNAME | ID | INFO | LIST … | GETREDIR | SETINFO … | NO-EVICT … | NO-TOUCH
 * …
 */
export const clientCommand = answering((request, session) => {
  const { count } = request;
  if (request.isWord(1, 'setname') && count === 3) {
    session.name = nameOf(request, 2);
    return OK;
  }
  if (request.isWord(1, 'setinfo') && count === 4) return setInfo(request, session);
  if (request.isWord(1, 'list')) return list(request, session);
  // Hints for a cache that does not exist here.
  if ((request.isWord(1, 'no-evict') || request.isWord(1, 'no-touch')) && count === 3) {
    if (request.isWord(2, 'on') || request.isWord(2, 'off')) return OK;
    throw invalid(`NO-EVICT and NO-TOUCH take ON or OFF, not ${request.text(2).slice(0, 32)}`);
  }
  if (count === 2) {
    if (request.isWord(1, 'getname')) return session.name === '' ? null : session.name;
    if (request.isWord(1, 'id')) return session.id;
    if (request.isWord(1, 'info')) return session.daemon.describe(session.id);
    // Nothing is tracked, so nobody is notified.
    if (request.isWord(1, 'getredir')) return -1;
  }
  throw invalid(
    `CLIENT has SETNAME, GETNAME, ID, INFO, LIST, SETINFO, GETREDIR, NO-EVICT and NO-TOUCH, not ${request
      .text(1)
      .slice(0, 32)} with ${count - 2} arguments`,
  );
});

/** CLIENT SETINFO LIB-NAME name | LIB-VER version: the name and version of the client's library. */
function setInfo(request: Request, session: CommandSession): Reply {
  const value = nameOf(request, 3);
  const { name, version } = session.library;
  if (request.isWord(2, 'lib-name')) session.library = { name: value, version };
  else if (request.isWord(2, 'lib-ver')) session.library = { name, version: value };
  else throw invalid(`CLIENT SETINFO has LIB-NAME and LIB-VER, not ${request.text(2).slice(0, 32)}`);
  return OK;
}

/** CLIENT LIST [TYPE type | ID id [id]…] */
function list(request: Request, session: CommandSession): Reply {
  const { count } = request;
  session.rights.authority?.requireDaemon(NEED.admin);
  const { describeAll } = session.daemon;
  if (count === 2) return describeAll();
  if (request.isWord(2, 'type') && count === 4) {
    // The older name, which Redis accepts too.
    const type = request.isWord(3, 'slave') ? 'replica' : TYPES.find((each) => request.isWord(3, each));
    if (type === undefined) throw invalid(`unknown client type ${request.text(3).slice(0, 32)}`);
    return type === 'normal' ? describeAll() : '';
  }
  if (request.isWord(2, 'id') && count > 3) {
    const ids = new Set<number>();
    for (let index = 3; index < count; index++) ids.add(request.size(index, 'id'));
    return describeAll(ids);
  }
  throw invalid('CLIENT LIST has TYPE type and ID id…');
}
