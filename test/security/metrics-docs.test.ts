/** docs/metrics.md lists each metric of a daemon that has everything, with its type and labels, and no other. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect } from '@jest/globals';
import { Agent, request } from 'undici';
import { Authority, openssl } from '../fixtures/certificates.js';
import { closeSecured, Secured } from './secured-daemon.js';

const DOCS = path.resolve(import.meta.dirname, '../../docs/metrics.md');

let authority: Authority;
beforeAll(async () => {
  authority = await Authority.make();
});
afterAll(async () => {
  await closeSecured();
  await authority.remove();
});

/** Lines `name type labels`, in order. */
function documented(text: string): string[] {
  return [...text.matchAll(/^\| `(bedrock_\w+)` *\| (\w+) *\| ([^|]*)\|/gm)]
    .map(([, name = '', type = '', labels = '']) =>
      [name, type, ...[...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).toSorted()].join(' '),
    )
    .toSorted();
}

function given(text: string): string[] {
  return [...text.matchAll(/^# TYPE (bedrock_\w+) (\w+)$/gm)]
    .map(([, name = '', type = '']) => {
      const sample = new RegExp(`^${name}(?:_bucket|_sum|_count)?(?:\\{([^}]*)\\})? \\S+$`, 'm').exec(text);
      if (sample === null) return `${name} ${type} (no sample)`;
      const labels = [...(sample[1] ?? '').matchAll(/(\w+)="/g)].map(([, label = '']) => label);
      return [name, type, ...labels.filter((label) => label !== 'le').toSorted()].join(' ');
    })
    .toSorted();
}

openssl.it('docs/metrics.md is complete', async () => {
  const pool = { path: 'a.pool', create_if_missing_with_size: 2 ** 23 };
  const secured = await Secured.start({
    bedrock: {
      auth: { tokens: 'tokens.json' },
      audit: { file: 'audit.jsonl' },
      limits: { requests_per_second: 1_000_000 },
      tls: await authority.sign(),
      resp: { address: '127.0.0.1:0' },
    },
    providers: [{ name: 'disk', type: 'warabi', config: { target: { type: 'file', config: pool } } }],
  });
  const target = secured.daemon.target('disk');
  await target.put('name', Buffer.from('contents'));
  await Promise.all(['a', 'b', 'c'].map((name) => target.put(name, Buffer.from(name))));
  await target.rename('a', 'd');
  await secured.daemon.snapshot('disk', { path: 'saved' });
  const dispatcher = new Agent({ connect: { ca: await authority.ca() } });
  const get = async (who: string): Promise<string> =>
    (await request(`${secured.url}/metrics`, { dispatcher, headers: secured.header(who) })).body.text();
  await get('nobody');
  const text = await get('admin');
  await dispatcher.close();

  expect(given(text)).toEqual(documented(await readFile(DOCS, 'utf8')));
  const values = (name: string): number[] =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].map(([, value]) =>
      Number(value),
    );
  expect(values('bedrock_flush_callers_sum')[0]).toBeGreaterThan(0);
  expect(values('bedrock_flush_callers_count')).toEqual(values('bedrock_flush_duration_seconds_count'));
  expect(values('bedrock_journal_records_total')[0]).toBeGreaterThan(0);
  expect(values('bedrock_free_extents')[0]).toBeGreaterThan(0);
  expect(values('bedrock_flush_failures_total')).toEqual([0]);
  expect(text).toContain('bedrock_background_operations_total{type="snapshot",state="done"} 1\n');
  expect(text).toMatch(/^bedrock_background_operation_bytes_total\{type="snapshot"\} [1-9]/m);
  expect(text).toContain('bedrock_auth_attempts_total{result="accepted"} 2\n');
  expect(text).toContain('bedrock_auth_tokens{state="valid"} 6\n');
  expect(text).toContain('bedrock_http_answers_total{status="4xx"} 1\n');
  expect(values('bedrock_http_in_flight')).toEqual([1]);
  expect(values('bedrock_ready')).toEqual([1]);
});
