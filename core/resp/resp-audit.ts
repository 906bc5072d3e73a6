/**
 * Records in the audit log what comes in over the Redis protocol: administrative commands, when
 * they are answered, and refused requests.
 */
import type { Socket } from 'node:net';
import { asBedrockError } from '../base/errors.js';
import { type AuditEvent, type AuditLog, DONE, originOf, REFUSALS } from '../security/audit.js';
import { NEED } from '../security/identity.js';
import type { Calls } from './calls.js';
import { type Command, type CommandSession, WAIT } from './command.js';
import { commandOf } from './commands.js';
import type { Request } from './request.js';
import { isAdministrativeRoute } from './request-command.js';

/** What may be shown of an argument: the name or id of a provider, or a word that says what is done. */
const SHOWN = /^[A-Za-z0-9_.-]{1,64}$/;

const REQUEST = 'bedrock.request';

/** Errors of calls that were recorded. They are no refusals of their own. */
const recorded = new WeakSet<Error>();

/**
 * Carries a command out, and records it if it administers the daemon. Used in place of the
 * command's `run`.
 */
export function runAudited(
  command: Command,
  request: Request,
  { session, calls, socket }: { session: CommandSession; calls: Calls; socket: Socket },
  audit: AuditLog,
): undefined | typeof WAIT {
  const isRequest = command.name === REQUEST;
  const isCall = isRequest
    ? isAdministrativeRoute(request, session.daemon.providers)
    : command.need === NEED.admin;
  if (!isCall && !isRequest) return command.run(request, session);
  const event = eventOf(request, session, socket);
  const record = (error: unknown): void => {
    const outcome = error === undefined ? DONE : asBedrockError(error).code;
    if (isCall) audit.record({ ...event, outcome });
    else if (REFUSALS.has(outcome)) audit.refused({ ...event, outcome });
  };
  try {
    const { result, isLater } = calls.watch(record, () => command.run(request, session));
    if (result !== WAIT && !isLater) record(undefined);
    return result;
  } catch (error) {
    record(error);
    if (error instanceof Error) recorded.add(error);
    throw error;
  }
}

/** Records a request if this error refuses it. */
export function noteRefusal(
  error: unknown,
  request: Request,
  session: CommandSession,
  socket: Socket,
  audit: AuditLog,
): void {
  const { code: outcome } = asBedrockError(error);
  if (!REFUSALS.has(outcome) || (error instanceof Error && recorded.has(error))) return;
  audit.refused({ ...eventOf(request, session, socket), outcome });
}

function eventOf(
  request: Request,
  { rights: { authority } }: CommandSession,
  socket: Socket,
): Omit<AuditEvent, 'outcome'> {
  const command = commandOf(request);
  return {
    door: 'resp',
    who: authority?.who ?? 'anonymous',
    from: originOf(socket),
    what: command === undefined ? 'an unknown command' : [command.name, ...shown(command, request)].join(' '),
  };
}

/**
 * The arguments that hold neither contents nor a secret. Others, such as the JSON of a provider, may
 * hold both.
 */
function shown({ name, need }: Command, request: Request): string[] {
  const count = name === REQUEST ? 4 : need === NEED.admin ? 3 : 0;
  const words: string[] = [];
  for (let index = 1; index < Math.min(count, request.count); index++) {
    const [word = ''] = request.text(index).split('?', 1);
    if (name === REQUEST ? index > 2 || SHOWN.test(word) : SHOWN.test(word)) words.push(word);
  }
  return words;
}
