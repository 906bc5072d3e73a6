/**
 * `bedrock token`: creates, lists and revokes the tokens of a daemon, in their file. A running
 * daemon sees the change within a second.
 */
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { BedrockError, messageOf } from '../base/errors.js';
import { type Grant, type Scope, SCOPES } from '../security/identity.js';
import { checkTokenId, newToken } from '../security/token.js';
import { changeTokenFile, parseGrants, readTokenFile, type StoredToken } from '../security/token-file.js';
import { collect } from './client-command.js';
import { subcommand } from './command-line.js';
import { ofWrittenFile, UsageError } from './failure.js';
import { print, printJson, printLine, shownName, table } from './output.js';
import { formatTime } from './times.js';

const DEFAULT_FILE = 'tokens.json';

const NEW_EXAMPLES = `
The token is printed once, and stored nowhere: what the file has of it lets nobody in. A grant is SCOPE[:PROVIDER[:PREFIX]]. The scopes
are read, write and admin; each includes those before it. Without a provider, or with *, a grant holds for all of them and for the daemon
itself; with a prefix, for regions by names that begin with it.

Examples:
  bedrock token new boss -g admin
  bedrock token new app -g write:orders -g read --expires 90d
  bedrock token new shop -g 'write:*:shop/' > shop.token
`;

const LIST_EXAMPLES = `
Examples:
  bedrock token ls
  bedrock token ls -f /etc/bedrock/tokens.json --json
`;

const REVOKE_EXAMPLES = `
Connections that were opened with it get an error from their next request on.

Examples:
  bedrock token revoke app
`;

interface FileOptions {
  file: string;
}

interface NewOptions extends FileOptions {
  grant: Grant[];
  expires?: number;
}

export function addToken(program: Command): void {
  const token = subcommand(program, 'token').description(
    'Create, list and revoke tokens, which give clients access.',
  );

  withFile(subcommand(token, 'new'))
    .description('Create a token and print it.')
    .argument('<ID>', 'its name in lists and logs', parseId)
    .requiredOption(
      '-g, --grant <GRANT>',
      'what it allows, SCOPE[:PROVIDER[:PREFIX]]; may be repeated',
      collect(parseGrant),
    )
    .option('-e, --expires <TIME>', 'when it ends: a time in ISO 8601, or from now: 12h, 90d', parseExpiry)
    .addHelpText('after', NEW_EXAMPLES)
    .action(make);

  withFile(subcommand(token, 'ls'))
    .description('List the tokens, without their secrets.')
    .option('--json', 'as JSON')
    .addHelpText('after', LIST_EXAMPLES)
    .action(list);

  withFile(subcommand(token, 'revoke'))
    .description('Revoke a token.')
    .argument('<ID>', 'the token', parseId)
    .addHelpText('after', REVOKE_EXAMPLES)
    .action(revoke);
}

function withFile(command: Command): Command {
  return command.option(
    '-f, --file <FILE>',
    'the file of the tokens, which bedrock.auth.tokens names',
    DEFAULT_FILE,
  );
}

async function make(id: string, { file, grant: grants, expires }: NewOptions): Promise<void> {
  const { text, stored } = newToken(id);
  await change(file, (tokens) => {
    if (tokens.some((one) => one.id === id))
      throw new UsageError(`${file} already has a token "${id}"; revoke it, or choose another id`);
    const made: StoredToken = {
      id,
      ...stored,
      grants,
      createdAt: Date.now(),
      ...(expires !== undefined && { expiresAt: expires }),
    };
    return [...tokens, made];
  });
  await printLine(text);
}

async function list({ file, json }: FileOptions & { json?: true }): Promise<void> {
  const { tokens } = await readTokenFile(path.resolve(file));
  const now = Date.now();
  if (json === true) {
    const shown = tokens.map(({ id, grants, createdAt, expiresAt }) => ({
      id,
      grants,
      createdAt,
      expiresAt,
    }));
    await printJson(shown, true);
    return;
  }
  const rows = tokens.map(({ id, grants, createdAt, expiresAt }) => [
    id,
    grants.map(formatGrant).join(' '),
    formatTime(createdAt),
    expiresAt === undefined ? 'never' : `${formatTime(expiresAt)}${expiresAt <= now ? ' (ended)' : ''}`,
  ]);
  await print(`${table([['ID', 'GRANTS', 'CREATED', 'EXPIRES'], ...rows])}\n`);
}

async function revoke(id: string, { file }: FileOptions): Promise<void> {
  await change(file, (tokens) => {
    const left = tokens.filter((one) => one.id !== id);
    if (left.length < tokens.length) return left;
    const known = tokens.map((one) => one.id).join(', ');
    throw new BedrockError(
      'NOT_FOUND',
      `${file} has no token "${id}"; it has ${known === '' ? 'none' : known}`,
    );
  });
}

function change(file: string, how: Parameters<typeof changeTokenFile>[1]): Promise<void> {
  return ofWrittenFile(file, () => changeTokenFile(path.resolve(file), how));
}

/** @throws InvalidArgumentError */
function parseId(text: string): string {
  try {
    checkTokenId(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError(`${messageOf(error)}.`);
  }
}

/** @throws InvalidArgumentError */
function parseGrant(text: string): Grant {
  const [scope = '', provider, ...rest] = text.split(':');
  // A prefix may have colons.
  const prefix = rest.length === 0 ? undefined : rest.join(':');
  const grant = {
    scope: scope as Scope,
    ...(provider !== undefined && { provider }),
    ...(prefix !== undefined && { prefix }),
  };
  const grants = parseGrants([grant]);
  if (typeof grants === 'string')
    throw new InvalidArgumentError(
      `${grants}; the form is SCOPE[:PROVIDER[:PREFIX]], SCOPE one of ${SCOPES.join(', ')}.`,
    );
  return grant;
}

function formatGrant({ scope, provider, prefix }: Grant): string {
  const where = prefix === undefined ? provider : `${provider ?? '*'}:${shownName(prefix)}`;
  return where === undefined ? scope : `${scope}:${where}`;
}

const UNITS_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** @throws InvalidArgumentError */
function parseExpiry(text: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const time =
    count === undefined
      ? /^\d{4}-\d\d-\d\d/.test(text)
        ? Date.parse(text)
        : NaN
      : Date.now() + Number(count) * (UNITS_MS[unit] ?? NaN);
  if (Number.isNaN(time))
    throw new InvalidArgumentError(
      'It takes a time such as 2027-01-31 or 2027-01-31T12:00Z, or 30m, 12h, 90d.',
    );
  if (time <= Date.now()) throw new InvalidArgumentError('It is in the past.');
  return time;
}
