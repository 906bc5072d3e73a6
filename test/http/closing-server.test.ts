/** An HTTP door that is closed while it begins to listen leaves no listener, however far it has come. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { configFromObject } from '../../core/config/document.js';
import { resolveConfig } from '../../core/config/resolve.js';
import { HttpServer } from '../../core/http/server.js';
import { createContainer } from '../../core/library/container.js';
import { LibraryLoader } from '../../core/library/library.js';
import type { ProviderManager } from '../../core/runtime/provider-manager.js';
import { recordingLogger } from '../fixtures/recording-logger.js';

it('leaves nothing of a server that is closed while it begins to listen', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'bedrock-http-'));
  const { logger } = recordingLogger();
  const container = createContainer({ logger });
  container.bind(LibraryLoader).toSelf().inSingletonScope();
  const { config } = await resolveConfig(configFromObject({}, folder), container, {});
  const { settings } = config;
  try {
    for (let turns = 0; turns < 20; turns++) {
      const server = new HttpServer({
        address: { kind: 'unix', path: path.join(folder, 'http.sock') },
        settings,
        version: '0',
        logger,
        providers: { all: [] } as unknown as ProviderManager,
        metrics: new Registry(),
        config: () => ({}),
        status: () => Promise.resolve({}),
        connections: () => ({}),
        changes: undefined as never,
        queries: undefined as never,
        access: undefined,
        shutdown: () => undefined,
      });
      const listening = server.listen().catch(() => undefined);
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      await server.close(0);
      await listening;
      expect(await readdir(folder)).toEqual([]);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
