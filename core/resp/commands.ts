/** All commands, and the look-up of a request's command. */
import { clientCommand } from './client-command.js';
import { commandCommand } from './command-command.js';
import { type Command, command, KNOWN_ONLY, MANY } from './command.js';
import { CONFIGURATION_COMMANDS } from './configuration-commands.js';
import { CONNECTION_COMMANDS } from './connection-commands.js';
import { DAEMON_COMMANDS } from './daemon-commands.js';
import { info } from './info-command.js';
import { KEY_COMMANDS } from './key-commands.js';
import { LIFE_COMMANDS } from './life-commands.js';
import { NAME_COMMANDS } from './name-commands.js';
import { READ_COMMANDS } from './read-commands.js';
import { OPERATION_COMMANDS } from './operation-commands.js';
import type { Request } from './request.js';
import { STRING_COMMANDS } from './string-commands.js';
import { UPLOAD_COMMANDS } from './upload-commands.js';
import { TARGET_COMMANDS } from './target-commands.js';
import { TRANSACTION_COMMANDS } from './transaction-commands.js';
import { WRITE_COMMANDS } from './write-commands.js';

export const COMMANDS: readonly Command[] = [
  ...STRING_COMMANDS,
  ...KEY_COMMANDS,
  ...NAME_COMMANDS,
  ...LIFE_COMMANDS,
  ...WRITE_COMMANDS,
  ...READ_COMMANDS,
  ...TARGET_COMMANDS,
  ...UPLOAD_COMMANDS,
  ...DAEMON_COMMANDS,
  ...OPERATION_COMMANDS,
  ...CONFIGURATION_COMMANDS,
  ...CONNECTION_COMMANDS,
  ...TRANSACTION_COMMANDS,
  command('client', [2, MANY], clientCommand, 'Names connections, or describes them.', KNOWN_ONLY),
  command('info', [1, MANY], info, 'Describes the daemon.', KNOWN_ONLY),
  command(
    'command',
    [1, MANY],
    commandCommand(() => COMMANDS),
    'Describes the commands.',
    KNOWN_ONLY,
  ),
];

/** By length of name: one comparison finds most of them. */
const BY_LENGTH: Command[][] = [];
for (const command of COMMANDS) (BY_LENGTH[command.name.length] ??= []).push(command);

/** The command that a request names. */
export function commandOf(request: Request): Command | undefined {
  for (const command of BY_LENGTH[request.lengthOf(0)] ?? [])
    if (request.isWord(0, command.name)) return command;
  return undefined;
}
