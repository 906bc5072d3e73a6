/**
 * examples/monitoring: promtool accepts its files and shows each alert fire, and in a real
 * Prometheus beside a daemon each metric that an alert is about, and each query of the board, has
 * data.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Authority } from '../fixtures/certificates.js';
import { hasCommand, needs } from '../fixtures/needs.js';
import { eventually } from '../http/running-daemon.js';
import { closeSecured, Secured } from '../security/secured-daemon.js';

const FOLDER = path.resolve(import.meta.dirname, '../../examples/monitoring');
const prometheus = needs(
  'prometheus, promtool and openssl',
  ['prometheus', 'promtool', 'openssl'].every(hasCommand),
);

const read = (name: string): Promise<string> => readFile(path.join(FOLDER, name), 'utf8');

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

prometheus.describe('examples/monitoring', () => {
  it.each([
    ['check', 'config', 'prometheus.yml'],
    ['check', 'rules', 'alerts.yml'],
    ['test', 'rules', 'alerts.test.yml'],
  ])('passes promtool %s %s %s', (...args) => {
    execFileSync('promtool', args, { cwd: FOLDER, stdio: 'pipe' });
  });

  it('shows each alert fire', async () => {
    const names = [...(await read('alerts.yml')).matchAll(/alert: (\w+)/g)].map(([, name]) => name);
    const shown = [...(await read('alerts.test.yml')).matchAll(/alertname="(\w+)"/g)].map(([, name]) => name);
    expect(shown).toEqual(names);
  });

  describe('in a real Prometheus', () => {
    let authority: Authority;
    let home: string;
    let child: ChildProcess;
    let url: string;
    let churn: NodeJS.Timeout;

    const ask = async (route: string, query: Record<string, string> = {}): Promise<unknown> => {
      const response = await fetch(`${url}/api/v1/${route}?${new URLSearchParams(query).toString()}`);
      const answer = (await response.json()) as { status: string; data: unknown };
      expect(answer).toMatchObject({ status: 'success' });
      return answer.data;
    };
    const results = async (query: string): Promise<unknown[]> =>
      ((await ask('query', { query })) as { result: unknown[] }).result;

    beforeAll(async () => {
      authority = await Authority.make();
      home = await mkdtemp(path.join(tmpdir(), 'bedrock-prometheus-'));
      const pool = { path: path.join(home, 'a.pool'), create_if_missing_with_size: 2 ** 23 };
      const secured = await Secured.start({
        bedrock: {
          auth: { tokens: 'tokens.json' },
          audit: { file: 'audit.jsonl' },
          tls: await authority.sign(),
          resp: { address: '127.0.0.1:0' },
        },
        providers: [{ name: 'disk', type: 'warabi', config: { target: { type: 'file', config: pool } } }],
      });
      const target = secured.daemon.target('disk');
      await target.create(7_700_000);
      const body = Buffer.from('contents');
      const { Agent, fetch: request } = await import('undici');
      const dispatcher = new Agent({ connect: { ca: await authority.ca() } });
      churn = setInterval(() => {
        const options = { method: 'PUT', body, headers: secured.header('writer'), dispatcher };
        void request(`${secured.url}/v1/providers/disk/names/a`, options).catch(() => undefined);
      }, 200);
      await writeFile(path.join(home, 'token'), secured.tokens.admin ?? '');
      await copyFile(path.join(FOLDER, 'alerts.yml'), path.join(home, 'alerts.yml'));
      const settings = (await read('prometheus.yml'))
        .replaceAll('15s', '1s')
        .replace('127.0.0.1:7480', new URL(secured.url).host)
        .replace('# scheme', 'scheme')
        .replace(/# (tls_config: .*)\/etc.*pem/, `$1${authority.cert}`)
        .replace(/# (authorization: .*)\/etc\S+/, `$1${path.join(home, 'token')}`);
      await writeFile(path.join(home, 'prometheus.yml'), settings);
      const listen = `127.0.0.1:${await freePort()}`;
      url = `http://${listen}`;
      const args = [`--web.listen-address=${listen}`, `--storage.tsdb.path=${path.join(home, 'data')}`];
      child = spawn('prometheus', [`--config.file=${path.join(home, 'prometheus.yml')}`, ...args], {
        stdio: 'ignore',
      });
      const isUp = (): Promise<boolean> =>
        fetch(`${url}/-/ready`).then(
          ({ ok }) => ok,
          () => false,
        );
      await eventually(isUp, (is) => is);
      await eventually(
        () => results('up{job="bedrock"} == 1 and rate(process_cpu_seconds_total{job="bedrock"}[1m]) > 0'),
        (found) => found.length === 1,
      );
    });

    afterAll(async () => {
      clearInterval(churn);
      if (child.exitCode === null) {
        const ended = once(child, 'exit');
        child.kill();
        await ended;
      }
      await closeSecured();
      await authority.remove();
      await rm(home, { recursive: true });
    });

    it('the rules can be evaluated, and what they are about is there', async () => {
      const rules = (
        await eventually(
          () =>
            ask('rules') as Promise<{
              groups: { rules: { name: string; health: string; query: string }[] }[];
            }>,
          ({ groups }) => groups.every((group) => group.rules.every(({ health }) => health !== 'unknown')),
        ).then(({ groups }) => groups)
      ).flatMap((group) => group.rules);
      expect(rules).toHaveLength(16);
      for (const { name, health, query } of rules) {
        expect([name, health]).toEqual([name, 'ok']);
        const metrics = query.match(/\b(?:bedrock|nodejs)_\w+|\bup\b/g) ?? [];
        expect([name, metrics.length > 0]).toEqual([name, true]);
        for (const metric of metrics) {
          const found = await results(metric);
          expect([name, metric, found.length > 0]).toEqual([name, metric, true]);
        }
      }
    });

    it('an alert of a target that is almost full begins', async () => {
      const begun = await eventually(
        () => ask('alerts') as Promise<{ alerts: { labels: { alertname: string; provider?: string } }[] }>,
        ({ alerts }) => alerts.some(({ labels }) => labels.alertname === 'BedrockAlmostFull'),
      );
      expect(begun.alerts.map(({ labels }) => labels.alertname)).not.toContain('BedrockDown');
    });

    it('each query of the board has data', async () => {
      const { panels } = JSON.parse(await read('grafana.json')) as {
        panels: { title: string; targets: { expr: string }[] }[];
      };
      const queries = panels.flatMap(({ title, targets }) =>
        targets.map(({ expr }) => [title, expr] as const),
      );
      expect(queries.length).toBeGreaterThan(20);
      for (const [title, expr] of queries) {
        const query = expr.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '1m');
        const found = await eventually(
          () => results(query),
          (result) => result.length > 0,
        );
        expect([title, found.length > 0]).toEqual([title, true]);
      }
    });
  });
});
