/** CLIENT: what connections are called, and how they are. */
import type { CommandClient } from './command.js';
import { answering, nameOf } from './connection-commands.js';
import { invalid } from './region-arguments.js';
import { OK, type Reply } from './replies.js';
import type { Request } from './request.js';

/** Of connections, as Redis knows them: those of ordinary clients, and three that there are none of here. */
const TYPES = ['normal', 'master', 'replica', 'pubsub'] as const;

/** CLIENT SETNAME name | GETNAME | ID | INFO | LIST … | GETREDIR | SETINFO … | NO-EVICT … | NO-TOUCH … */
export const clientCommand = answering((request, client) => {
  const { count } = request;
  if (request.isWord(1, 'setname') && count === 3) {
    client.name = nameOf(request, 2);
    return OK;
  }
  if (request.isWord(1, 'setinfo') && count === 4) return setInfo(request, client);
  if (request.isWord(1, 'list')) return list(request, client);
  // Hints for a cache that is not there.
  if ((request.isWord(1, 'no-evict') || request.isWord(1, 'no-touch')) && count === 3) {
    if (request.isWord(2, 'on') || request.isWord(2, 'off')) return OK;
    throw invalid(`it is on or off, and not ${request.text(2).slice(0, 32)}`);
  }
  if (count === 2) {
    if (request.isWord(1, 'getname')) return client.name === '' ? null : client.name;
    if (request.isWord(1, 'id')) return client.id;
    if (request.isWord(1, 'info')) return client.daemon.describe(client);
    // Nothing is tracked, so nothing is told to anybody.
    if (request.isWord(1, 'getredir')) return -1;
  }
  throw invalid(
    `CLIENT has SETNAME, GETNAME, ID, INFO, LIST, SETINFO, GETREDIR, NO-EVICT and NO-TOUCH, and no ${request
      .text(1)
      .slice(0, 32)} with ${count - 2} arguments`,
  );
});

/** CLIENT SETINFO LIB-NAME name | LIB-VER version: what the client's library is called. */
function setInfo(request: Request, client: CommandClient): Reply {
  const value = nameOf(request, 3);
  const { name, version } = client.library;
  if (request.isWord(2, 'lib-name')) client.library = { name: value, version };
  else if (request.isWord(2, 'lib-ver')) client.library = { name, version: value };
  else throw invalid(`CLIENT SETINFO has LIB-NAME and LIB-VER, and no ${request.text(2).slice(0, 32)}`);
  return OK;
}

/** CLIENT LIST [TYPE type | ID id [id]…] */
function list(request: Request, client: CommandClient): Reply {
  const { count } = request;
  const { describeAll } = client.daemon;
  if (count === 2) return describeAll();
  if (request.isWord(2, 'type') && count === 4) {
    // Its older name, which Redis takes too.
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
