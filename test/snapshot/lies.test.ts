/**
 * Whatever a snapshot says, with right checksums: it is restored as it says, or refused with one
 * error of a kind, and the target is empty.
 */
import { appendFile, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import { BedrockError, type Daemon, verifySnapshot } from '../../core/index.js';
import { crc32c } from '../../core/pool/crc32c.js';
import { encodeManifest, type Manifest, readManifest } from '../../core/snapshot/format.js';
import { isThorough } from '../fixtures/thoroughness.js';

const CODES: ReadonlySet<string> = new Set(['SNAPSHOT_CORRUPT', 'OUT_OF_SPACE', 'NOT_SUPPORTED']);
let home: string;
let daemon: Daemon;
let sound: string;
let manifest: Manifest;
let lines: object[];
let erased: string[];

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-lies-'));
  const provider = (name: string, id: number, target: object): object => ({
    name,
    type: 'warabi',
    provider_id: id,
    config: { target },
  });
  const file = { type: 'file', config: { path: 'pool', create_if_missing_with_size: 2 ** 23 } };
  const memory = { type: 'memory', config: {} };
  const providers = [provider('store', 1, memory), provider('memory', 2, memory), provider('file', 3, file)];
  daemon = await bootstrap(
    { providers: providers as never },
    { directory: home, address: 'http://127.0.0.1:0', logLevel: 'off' },
  );
  const target = daemon.target('store');
  for (let at = 0; at < 4; at++) await target.put(`name ${at}`, Buffer.alloc(10 + at, at));
  const gone = [await target.create(1), await target.create(1)];
  await target.createAndWrite(Buffer.alloc(2 ** 18 + 9, 7));
  for (const id of gone) await target.erase(id);
  sound = path.join(home, 'sound');
  await daemon.snapshot('store', { path: sound });
  manifest = await readManifest(sound);
  lines = (await readFile(path.join(sound, 'regions.jsonl'), 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  erased = (await readFile(path.join(sound, 'erased.txt'), 'utf8')).trimEnd().split('\n');
});
afterAll(async () => {
  await daemon.close();
  await rm(home, { recursive: true, force: true });
});

/** Writes what is said, with all checksums and sizes right, unless the manifest itself says otherwise. */
async function write(
  at: string,
  said: { manifest: object; lines: readonly unknown[]; erased: readonly string[] },
): Promise<void> {
  await cp(sound, at, { recursive: true });
  const files: Record<string, object> = {};
  for (const [name, text] of [
    ['regions.jsonl', said.lines.map((line) => `${JSON.stringify(line)}\n`).join('')],
    ['erased.txt', said.erased.map((line) => `${line}\n`).join('')],
  ] as const) {
    await writeFile(path.join(at, name), text);
    files[name] = { size: Buffer.byteLength(text), crc32c: crc32c(Buffer.from(text)) };
  }
  const sum = { regions: said.lines.length, erased: said.erased.length, bytes: 0 };
  for (const line of said.lines) sum.bytes += Number((line as { size?: unknown } | null)?.size) || 0;
  await writeFile(
    path.join(at, 'manifest.json'),
    encodeManifest({ ...manifest, ...sum, files, ...said.manifest } as never),
  );
}

/** @returns the code; undefined if it was restored */
async function restore(name: string, at: string): Promise<string | undefined> {
  try {
    await daemon.restore(name, { path: at });
    return undefined;
  } catch (error) {
    if (!(error instanceof BedrockError)) throw error;
    expect(CODES).toContain(error.code);
    expect(await daemon.target(name).stats()).toMatchObject({ state: 'open', regions: 0 });
    return error.code;
  }
}

it.each(['memory', 'file'])('extents that overlap are SNAPSHOT_CORRUPT: %s', async (name) => {
  const at = path.join(home, `overlap-${name}`);
  const [first, second] = lines.filter((line) => (line as { size: number }).size < 100) as {
    extents: unknown;
    size: number;
  }[];
  const others = lines.filter((line) => line !== second);
  await write(at, {
    manifest: {},
    lines: [...others, { ...second, size: first?.size, extents: first?.extents }],
    erased,
  });
  expect(await restore(name, at)).toBe('SNAPSHOT_CORRUPT');
  const { faults } = await verifySnapshot(at, { signal: new AbortController().signal });
  expect(faults).toEqual([expect.stringMatching(/two extents/)]);
  await appendFile(path.join(at, 'erased.txt'), '\n');
  expect(await restore(name, at)).toBe('SNAPSHOT_CORRUPT');
});

const NUMBERS = [0, 1, -1, 0.5, 255, 2 ** 18, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 1e300];
const TEXTS = ['', '\ud800', '\0', '../../x', 'n'.repeat(1025), '__proto__', 'name 1'];
const value = (): fc.Arbitrary<unknown> =>
  fc.oneof(
    fc.constantFrom(...NUMBERS, ...TEXTS, null, true),
    fc.constantFrom(
      [],
      {},
      [[]],
      [[0, 0, 0, 0]],
      [[0, 0, 10, 0]],
      [[7, 0, 1, 0]],
      [[0, 2 ** 53 - 1, 2 ** 53 - 1, 0]],
    ),
  );
const id = (): fc.Arbitrary<string> =>
  fc
    .record({
      slot: fc.constantFrom(0, 1, 9, 2 ** 20, 2 ** 31, 2 ** 32 - 1),
      generation: fc.constantFrom(0, 1, 2, 2 ** 31, 2 ** 32 - 1),
    })
    .map(({ slot, generation }) => {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32LE(slot, 0);
      bytes.writeUInt32LE(generation, 4);
      return bytes.toString('hex') + manifest.poolId;
    });
const lie = fc.oneof(
  fc.record({
    of: fc.constant('manifest' as const),
    member: fc.constantFrom(
      'poolId',
      'takenAt',
      'source',
      'regions',
      'bytes',
      'erased',
      'packs',
      'files',
      'format',
      'version',
    ),
    value: value(),
  }),
  fc.record({
    of: fc.constant('line' as const),
    at: fc.nat(4),
    member: fc.constantFrom('id', 'size', 'createdAt', 'name', 'extents'),
    value: value(),
  }),
  fc.record({ of: fc.constant('extent' as const), at: fc.nat(4), part: fc.nat(3), value: value() }),
  fc.record({ of: fc.constant('id' as const), at: fc.nat(4), value: id() }),
  fc.record({ of: fc.constant('erased' as const), value: fc.oneof(id(), fc.constantFrom(...TEXTS)) }),
  fc.record({ of: fc.constant('twice' as const), at: fc.nat(4) }),
);

function said(
  lies: readonly (typeof lie extends fc.Arbitrary<infer One> ? One : never)[],
): Parameters<typeof write>[1] {
  const all = {
    manifest: {} as Record<string, unknown>,
    lines: structuredClone(lines) as Record<string, unknown>[],
    erased: [...erased],
  };
  for (const one of lies) {
    const line = 'at' in one ? all.lines[one.at] : undefined;
    if (one.of === 'manifest') all.manifest[one.member] = one.value;
    else if (one.of === 'erased') all.erased.push(one.value);
    else if (line === undefined) continue;
    else if (one.of === 'twice') all.lines.push(structuredClone(line));
    else if (one.of === 'id') line.id = one.value;
    else if (one.of === 'line') line[one.member] = one.value;
    else {
      // An earlier lie may have put something else in place of the list.
      const extent: unknown = Array.isArray(line.extents) ? line.extents[0] : undefined;
      if (Array.isArray(extent)) extent.splice(one.part, 1, one.value);
    }
  }
  return all;
}

it.each(['memory', 'file'])(
  'any lies are told by one error, and the target is empty and takes the sound one: %s',
  async (name) => {
    const at = path.join(home, `lies-${name}`);
    await fc.assert(
      fc.asyncProperty(fc.array(lie, { minLength: 1, maxLength: 3 }), async (lies) => {
        await rm(at, { recursive: true, force: true });
        await write(at, said(lies));
        const code = await restore(name, at);
        if (code === undefined) {
          const { regions } = await daemon.target(name).list();
          for (const { id, size } of regions)
            expect((await daemon.target(name).read(id, 0, size)).length).toBe(size);
          for (const { id } of regions) await daemon.target(name).erase(id);
        }
        await daemon.restore(name, { path: sound });
        expect((await daemon.target(name).stats()).regions).toBe(lines.length);
        for (const { id } of (await daemon.target(name).list()).regions) await daemon.target(name).erase(id);
      }),
      { numRuns: isThorough ? 200 : 20 },
    );
  },
);
