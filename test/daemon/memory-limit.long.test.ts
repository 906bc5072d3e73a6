/** A daemon whose control group has little memory: memory targets refuse, and the daemon lives. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, expect } from '@jest/globals';
import { MAIN, inShell, killAll, type BedrockProcess } from '../fixtures/bedrock-process.js';
import { needs } from '../fixtures/needs.js';

const MIB = 2 ** 20;
const LIMIT_BYTES = 400 * MIB;
const REGION_BYTES = 20 * MIB;
const CONFIG = JSON.stringify({
  providers: [
    {
      name: 'store',
      type: 'warabi',
      config: {
        targets: [
          { type: 'memory', config: {} },
          { type: 'memory', config: { max_bytes: 100 * LIMIT_BYTES } },
        ],
      },
    },
  ],
});

/** Folders of version 1 and 2, and the file with the limit. */
const HIERARCHIES = [
  ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes'],
  ['/sys/fs/cgroup', 'memory.max'],
] as const;

/** A control group with a limit; nothing where none can be made. */
function makeGroup(): string | undefined {
  for (const [hierarchy, file] of HIERARCHIES) {
    const group = path.join(hierarchy, `bedrock-test-${process.pid}`);
    try {
      mkdirSync(group);
    } catch {
      continue;
    }
    try {
      writeFileSync(path.join(group, file), String(LIMIT_BYTES), { flag: 'r+' });
      return group;
    } catch {
      rmdirSync(group);
    }
  }
  return undefined;
}

const folder = mkdtempSync(path.join(tmpdir(), 'memory-limit-'));
const config = path.join(folder, 'bedrock.json');
writeFileSync(config, CONFIG);
const group = makeGroup();
const limited = needs('a control group of its own with a limit of memory (root)', group !== undefined);

afterEach(killAll);

afterAll(async () => {
  rmSync(folder, { recursive: true });
  if (group === undefined) return;
  // The kernel lets a group go once it has taken note that its last process has ended.
  while (existsSync(group)) {
    try {
      rmdirSync(group);
    } catch {
      await delay(10);
    }
  }
});

function start(): BedrockProcess {
  const program = `'${process.execPath}' '${MAIN}' start http://127.0.0.1:0 -c '${config}'`;
  return inShell(`echo $$ > '${group ?? ''}/cgroup.procs' && exec ${program}`);
}

limited.it('refuses regions with OUT_OF_SPACE, written or not, and goes on', async () => {
  const daemon = start();
  const url = `${await daemon.address()}/v1/providers/store`;
  const post = (target: number, body?: Buffer): Promise<Response> =>
    fetch(`${url}/regions?target=${target}${body === undefined ? `&size=${REGION_BYTES}` : ''}`, {
      method: 'POST',
      ...(body !== undefined && { body: new Uint8Array(body) }),
    });
  const full: { status: number; body: unknown }[] = [];
  const ids: [target: number, id: string][] = [];
  for (let count = 0; count < LIMIT_BYTES / REGION_BYTES; count++) {
    const target = count % 2;
    const answer = await post(target, count % 3 === 0 ? Buffer.alloc(REGION_BYTES, 1) : undefined);
    const body = (await answer.json()) as { id: string };
    if (answer.status === 201) ids.push([target, body.id]);
    else full.push({ status: answer.status, body });
  }
  expect(ids.length).toBeGreaterThan(3);
  expect(full.length).toBeGreaterThan(0);
  for (const { status, body } of full)
    expect({ status, body }).toMatchObject({ status: 507, body: { code: 'OUT_OF_SPACE' } });
  expect(full[0]?.body).toMatchObject({
    detail: expect.stringContaining(`bedrock-test-${process.pid}`) as unknown,
  });
  // What was promised is there when it is written.
  for (const [target, id] of ids) {
    const written = await fetch(`${url}/regions/${id}?target=${target}`, {
      method: 'PUT',
      body: new Uint8Array(REGION_BYTES).fill(2),
    });
    expect(written.status).toBe(204);
  }
  const stats = async (target: number): Promise<{ freeBytes: number; regions: number }> =>
    (await (await fetch(`${url}/stats?target=${target}`)).json()) as { freeBytes: number; regions: number };
  expect((await stats(1)).freeBytes).toBeLessThan(REGION_BYTES);
  for (const [target, id] of ids) await fetch(`${url}/regions/${id}?target=${target}`, { method: 'DELETE' });
  expect((await stats(0)).regions).toBe(0);
  expect((await post(0)).status).toBe(201);
  daemon.signal('SIGTERM');
  expect((await daemon.exit).status).toBe(0);
});
