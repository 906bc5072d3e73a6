/** Remote targets keep the contract of a target, over TCP and over a unix socket. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, it } from '@jest/globals';
import { describeTarget } from '../../core/conformance/index.js';
import { bootstrap, connect, type Capabilities, type Service, type Target } from '../../core/index.js';

const ROOM_BYTES = 16 * 2 ** 20;
const CAPABILITIES: Capabilities = {
  persistent: false,
  mappable: false,
  growable: false,
  importable: false,
  snapshots: false,
};

/** What stands behind each target: a daemon of its own, and the connection to it. */
const behind = new Map<Target, () => Promise<void>>();

async function remoteTarget(address: string, maxBytes: number, folder?: string): Promise<Target> {
  const config = { target: { type: 'memory', config: { max_bytes: maxBytes } } };
  // What is too large is the target's to refuse here, not the front door's.
  const http = { max_body_bytes: Number.MAX_SAFE_INTEGER };
  const daemon = await bootstrap(
    { bedrock: { http }, providers: [{ name: 'store', type: 'warabi', config }] },
    { address, logLevel: 'off' },
  );
  const service: Service = await connect(daemon.address ?? '');
  const target = service.target('store');
  await target.close();
  behind.set(target, async () => {
    await service.close();
    await daemon.close();
    if (folder !== undefined) await rm(folder, { recursive: true });
  });
  return target;
}

async function dispose(target: Target): Promise<void> {
  await behind.get(target)?.();
  behind.delete(target);
}

describe.each([
  ['TCP', (maxBytes: number) => remoteTarget('http://127.0.0.1:0', maxBytes)],
  [
    'a unix socket',
    async (maxBytes: number) => {
      const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-'));
      return remoteTarget(`unix:${folder}/socket`, maxBytes, folder);
    },
  ],
])('a remote target over %s', (_transport, make) => {
  describeTarget(
    { describe, it, beforeEach, afterEach },
    {
      create: () => make(ROOM_BYTES),
      createBounded: make,
      dispose,
      maxRegionBytes: ROOM_BYTES,
      isRemote: true,
    },
    CAPABILITIES,
  );
});
