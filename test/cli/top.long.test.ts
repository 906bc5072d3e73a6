/** How `bedrock top` leaves the terminal, whatever ends it; its size; a daemon that goes away. */
import { afterEach, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Authority, openssl } from '../fixtures/certificates.js';
import { runHere } from '../fixtures/run-here.js';
import { closeSecured, Secured } from '../security/secured-daemon.js';
import { codeOf, type Running, startDaemon, TWO_STORES } from '../fixtures/run-command.js';
import { ENTER, FIRST_LINE, killTerminals, LEAVE, Terminal, underTerminal } from '../fixtures/terminal.js';

const running: Running[] = [];
afterEach(async () => {
  killTerminals();
  for (const { daemon } of running.splice(0)) await daemon.close();
});

async function start(address?: string): Promise<Running> {
  const made = await startDaemon(TWO_STORES, address);
  running.push(made);
  return made;
}

underTerminal.describe('the terminal of bedrock top', () => {
  it.each([
    ['Ctrl-C', undefined, 130],
    ['SIGINT', 'SIGINT', 130],
    ['SIGTERM', 'SIGTERM', 143],
  ] as const)('is as before after %s', async (_, signal, status) => {
    const { env } = await start();
    const terminal = new Terminal(env);
    const pid = await terminal.pid();
    await terminal.shows(/sort: ops/);
    if (signal === undefined) terminal.type('\x03');
    else process.kill(pid, signal);
    await terminal.shows(new RegExp(`restored ${status}`));
    expect(terminal.output).toContain(LEAVE);
  });

  it('is as before while Ctrl-Z has stopped the command, and shows the figures again after fg', async () => {
    const { env } = await start();
    const terminal = new Terminal(env);
    const pid = await terminal.pid();
    await terminal.shows(/sort: ops/);
    terminal.type('\x1a');
    const isStopped = () => / T /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    while (!isStopped()) await delay(10);
    expect(terminal.output.split(ENTER)).toHaveLength(2);
    expect(terminal.output.endsWith(LEAVE)).toBe(true);
    terminal.output = '';
    process.kill(pid, 'SIGCONT');
    await terminal.shows(ENTER);
    await terminal.shows(FIRST_LINE);
    terminal.type('q');
    await terminal.shows(/restored 0/);
  });

  it('says that the daemon is gone, and goes on when it is back', async () => {
    const { daemon, env } = await start();
    const terminal = new Terminal(env);
    await terminal.shows(/sort: ops/);
    await daemon.close();
    await terminal.shows(/UNREACHABLE, trying again/);
    terminal.output = '';
    await start(env.BEDROCK_ADDRESS);
    await terminal.shows(FIRST_LINE);
    terminal.type('q');
    await terminal.shows(/restored 0/);
  });

  it('is as before after a crash, which is told then', async () => {
    const { env } = await start();
    const crash = "setTimeout(()=>{throw(new(Error)('crashed'))},1500)";
    const terminal = new Terminal({ ...env, NODE_OPTIONS: `--import=data:text/javascript,${crash}` });
    const output = await terminal.shows(/restored 1/);
    expect(output.indexOf('error INTERNAL: uncaught exception')).toBeGreaterThan(output.lastIndexOf(LEAVE));
  });

  it('is drawn for its new size', async () => {
    const { env } = await start();
    const terminal = new Terminal(env);
    await terminal.shows(/ READ +WRITTEN /);
    await terminal.resize(10, 24);
    terminal.output = '';
    await terminal.shows(FIRST_LINE);
    await terminal.shows(/sort: ops/);
    terminal.output = '';
    await terminal.shows(/sort: ops/);
    expect(terminal.output).not.toContain('WRITTEN');
    terminal.type('q');
    await terminal.shows(/restored 0/);
  });
});

openssl.it('its figures come over TLS and with a token, by both doors', async () => {
  const authority = await Authority.make();
  try {
    const { cert, key } = await authority.sign();
    const auth = { tokens: 'tokens.json' };
    const secured = await Secured.start({ bedrock: { auth, tls: { cert, key } } });
    const env = { BEDROCK_TOKEN: secured.tokens.admin };
    const resp = `resps://${secured.daemon.config.bedrock?.resp?.address ?? ''}`;
    for (const address of [secured.url, resp]) {
      const args = ['top', '--once', '--json', '--interval', '0.1', '-a', address];
      const { status, stdout } = await runHere([...args, '--cacert', authority.cert], { env });
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ targets: [{ provider: 'store' }, { provider: 'other' }] });
      expect(codeOf(await runHere(args, { env }))).toBe('UNREACHABLE');
      expect(codeOf(await runHere([...args, '--cacert', authority.cert]))).toBe('UNAUTHENTICATED');
    }
  } finally {
    await closeSecured();
    await authority.remove();
  }
});
