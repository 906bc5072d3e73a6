/** A Redis door that is closed while it begins to listen: it leaves neither a listener nor the file of a socket. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { RespServer } from '../../core/resp/server.js';
import type { ProviderManager } from '../../core/runtime/provider-manager.js';
import { recordingLogger } from '../fixtures/recording-logger.js';
import { eventually } from './running-door.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'bedrock-doors-'));
});
afterEach(() => rm(folder, { recursive: true }));

function make(): RespServer {
  return new RespServer({
    address: { tcp: { host: '127.0.0.1', port: 0 }, unix: path.join(folder, 'resp.sock') },
    settings: {
      ...{ max_connections: 10, max_bulk_bytes: 2 ** 20, max_arguments: 64, max_request_bytes: 2 ** 16 },
      ...{ max_arriving_bytes: 2 ** 20, max_replies_bytes: 2 ** 20, max_buffered_bytes: 2 ** 18 },
      ...{ progress_timeout_ms: 1000, upload_timeout_ms: 1000, idle_timeout_ms: 1000 },
    },
    providers: { all: [] } as unknown as ProviderManager,
    version: '0',
    logger: recordingLogger().logger,
    config: () => ({}),
    status: () => Promise.resolve({}),
    changes: undefined as never,
    queries: undefined as never,
    access: undefined,
    shutdown: () => undefined,
  });
}

/** Nothing may be left: no listener, once the event loop has closed it, and no file. */
async function expectNothingLeft(): Promise<void> {
  expect(await readdir(folder)).toEqual([]);
  const left = (): string[] =>
    process.getActiveResourcesInfo().filter((kind) => /^(TCP|Pipe)ServerWrap$/.test(kind));
  await eventually(
    () => Promise.resolve(left()),
    ({ length }) => length === 0,
  );
}

it('fails to listen with START_FAILED', async () => {
  const server = make();
  const listening = server.listen();
  const closing = server.close(0);
  await expect(listening).rejects.toMatchObject({ code: 'START_FAILED' });
  await closing;
  await expectNothingLeft();
});

it('leaves nothing, however far it has come', async () => {
  // Until it has begun to listen before it is closed.
  for (let turns = 0; ; turns++) {
    const server = make();
    const began = server.listen().then(
      () => true,
      () => false,
    );
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
    await server.close(0);
    await expectNothingLeft();
    if (await began) return;
  }
});
