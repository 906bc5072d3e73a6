/**
 * No output of any kind shows the secret of a token: everything that comes out after a token was
 * used, well and badly, is searched.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { connect } from '../../core/index.js';
import { MAIN } from '../fixtures/run-command.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { runHere } from '../fixtures/run-here.js';
import type { Value } from '../resp/raw-client.js';
import { closeSecured, Secured } from './secured-daemon.js';

afterAll(closeSecured);

function textOf(value: Value | undefined): string {
  if (value instanceof Error) return value.message;
  if (value instanceof Map) return JSON.stringify([...value].map(([key, each]) => [key, textOf(each)]));
  return Array.isArray(value) ? value.map(textOf).join(' ') : String(value);
}

async function failureOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: unknown) => String((error as Error).stack),
  );
}

it('a token appears in no log, error, metric, query, configuration, process title or completion', async () => {
  const { logger, entries } = recordingLogger();
  const daemon = await Secured.start({
    logger,
    bedrock: {
      auth: { tokens: 'tokens.json' },
      audit: { file: 'audit.jsonl' },
      limits: { failed_auth_per_minute: 100 },
      resp: { address: '127.0.0.1:0' },
    },
  });
  const token = daemon.tokens.admin ?? '';
  const secret = token.slice('bedrock_admin_'.length);
  const outputs: [where: string, text: string][] = [];
  const keep = (where: string, text: string): void => void outputs.push([where, text]);

  // Over HTTP: used well, where it does not belong, and wrong by its end.
  const http = async (
    method: string,
    place: string,
    authorization = `Bearer ${token}`,
    body?: string,
  ): Promise<void> => {
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    const answer = await fetch(`${daemon.url}${place}`, {
      method,
      headers: { authorization, ...json },
      ...(body !== undefined && { body }),
    });
    keep(`${method} ${place}`, JSON.stringify([...answer.headers]) + (await answer.text()));
  };
  for (const place of [
    '/v1/config',
    '/metrics',
    '/v1/status',
    '/openapi.json',
    '/v1/providers',
    '/v1/operations',
  ])
    await http('GET', place);
  await http('POST', '/v1/query', undefined, JSON.stringify({ expression: '$' }));
  await http('POST', '/v1/query', undefined, JSON.stringify({ expression: `(${token}` }));
  await http('GET', `/v1/config?access_token=${token}`, '');
  await http('GET', `/v1/${token}`);
  await http('GET', `/v1/providers/${token}/stats`);
  await http('GET', `/v1/providers/store/names/${token}`);
  await http('GET', `/v1/providers/store/regions?limit=${token}`);
  await http('POST', '/v1/providers', undefined, JSON.stringify({ name: token, type: 'none' }));
  await http('POST', '/v1/providers', undefined, `{"token": "${token}`);
  for (const wrong of [`Bearer ${token}x`, `Basic ${token}`, `Bearer bedrock_other_${secret}`])
    await http('GET', '/v1/config', wrong);

  // Over the Redis protocol likewise.
  const client = await daemon.client();
  const resp = async (...words: string[]): Promise<void> =>
    keep(`RESP ${words[0] ?? ''}`, textOf(await client.call(...words)));
  await resp('AUTH', `${token}x`);
  await resp('AUTH', token);
  await resp('HELLO', '3', 'AUTH', 'admin', secret);
  for (const words of [
    ['INFO'],
    ['CLIENT', 'LIST'],
    ['CLIENT', 'INFO'],
    ['BEDROCK.CONFIG'],
    ['BEDROCK.PROVIDERS'],
    ['BEDROCK.QUERY', '$'],
    [token],
    ['GET', token],
    ['SELECT', token],
    ['CLIENT', token],
    ['BLOB.STATS', 'AT', token],
    ['BEDROCK.PROVIDER', 'RM', token],
    ['BEDROCK.PROVIDER', 'ADD', JSON.stringify({ name: token, type: 'none' })],
    ['AUTH', 'admin', `${secret.slice(0, -1)}.`],
  ])
    await resp(...words);

  // By its client and the command line, as an argument or in a file that has something else as well.
  for (const url of [daemon.url, daemon.respUrl]) {
    const service = await connect(url, { token });
    keep('config', JSON.stringify(service.config));
    keep('error', await failureOf(service.target('store').find('nothing')));
    await service.close();
  }
  keep('connect', await failureOf(connect(daemon.url, { token: `${token}x` })));
  const wrong = path.join(daemon.folder, 'wrong.token');
  await writeFile(wrong, `${token} ${token}`, { mode: 0o600 });
  for (const [args, env] of [
    [['ls', '-a', daemon.url], { BEDROCK_TOKEN: token }],
    [['ls', '-a', daemon.url], { BEDROCK_TOKEN: `${token}x` }],
    [['ls', '-a', daemon.url, '--token-file', wrong], {}],
    [['config', 'show', '-a', daemon.url], { BEDROCK_TOKEN: token }],
    [['completion', 'bash'], { BEDROCK_TOKEN: token }],
    [['completion', 'zsh'], { BEDROCK_TOKEN: token }],
    [['completion', 'fish'], { BEDROCK_TOKEN: token }],
    [[token], {}],
    [['ls', token, '-a', daemon.url], { BEDROCK_TOKEN: token }],
    [['get', token, '-a', daemon.url], { BEDROCK_TOKEN: token }],
    [['token', 'ls', '-f', path.join(daemon.folder, 'tokens.json')], { BEDROCK_TOKEN: token }],
  ] as const) {
    const { stdout, stderr } = await runHere(args, { env });
    keep(args.join(' '), stdout + stderr);
  }

  // What other users of the machine see of a process that has one: its arguments and its title.
  const child = spawn(process.execPath, [MAIN, 'put', '-a', daemon.url, '-', 'x'], {
    env: { ...process.env, BEDROCK_TOKEN: token },
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = once(child, 'exit');
  child.stdin.write('x');
  const begun = async (): Promise<boolean> =>
    (await readFile(`/proc/${child.pid ?? 0}/cmdline`, 'utf8')) !== '';
  while (!(await begun())) await new Promise(setImmediate);
  keep('cmdline', await readFile(`/proc/${child.pid ?? 0}/cmdline`, 'utf8'));
  child.stdin.end();
  await ended;

  await daemon.daemon.hangUp();
  keep('log', entries.map(({ message, fields }) => `${message} ${JSON.stringify(fields)}`).join('\n'));
  keep('audit', await readFile(path.join(daemon.folder, 'audit.jsonl'), 'utf8'));
  keep('title', process.title);
  for (const form of [
    secret,
    btoa(token),
    encodeURIComponent(secret),
    Buffer.from(secret, 'base64url').toString('hex'),
  ])
    expect(outputs.filter(([, text]) => text.includes(form))).toEqual([]);
  expect(outputs.length).toBeGreaterThan(40);
});
