/** All commands, and how a request finds its own. */
import { clientCommand } from './client-command.js';
import { commandCommand } from './command-command.js';
import type { Command } from './command.js';
import { CONNECTION_COMMANDS } from './connection-commands.js';
import { DAEMON_COMMANDS } from './daemon-commands.js';
import { info } from './info-command.js';
import { LIFE_COMMANDS } from './life-commands.js';
import { READ_COMMANDS } from './read-commands.js';
import type { Request } from './request.js';
import { UPLOAD_COMMANDS } from './upload-commands.js';
import { TARGET_COMMANDS } from './target-commands.js';
import { TRANSACTION_COMMANDS } from './transaction-commands.js';
import { WRITE_COMMANDS } from './write-commands.js';

export const COMMANDS: readonly Command[] = [
  ...LIFE_COMMANDS,
  ...WRITE_COMMANDS,
  ...READ_COMMANDS,
  ...TARGET_COMMANDS,
  ...UPLOAD_COMMANDS,
  ...DAEMON_COMMANDS,
  ...CONNECTION_COMMANDS,
  ...TRANSACTION_COMMANDS,
  {
    name: 'client',
    arity: [2, Infinity],
    run: clientCommand,
    summary: 'Names connections, or describes them.',
  },
  { name: 'info', arity: [1, Infinity], run: info, summary: 'Describes the daemon.' },
  {
    name: 'command',
    arity: [1, Infinity],
    run: commandCommand(() => COMMANDS),
    summary: 'Describes the commands.',
  },
];

/** By the length of their names: one comparison finds most. */
const BY_LENGTH: Command[][] = [];
for (const command of COMMANDS) (BY_LENGTH[command.name.length] ??= []).push(command);

/** The command that a request names. */
export function commandOf(request: Request): Command | undefined {
  for (const command of BY_LENGTH[request.lengthOf(0)] ?? [])
    if (request.isWord(0, command.name)) return command;
  return undefined;
}
