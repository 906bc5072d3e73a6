/** Starts that end before their time: by a signal, or because something does not come to an end. */
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from '@jest/globals';
import { type BedrockConfig, bootstrap, checkConfig } from '../../core/index.js';
import { journal, late, LATE_LIBRARY } from '../fixtures/late-library.js';
import { type LogEntry, recordingLogger } from '../fixtures/recording-logger.js';

const folder = path.resolve(import.meta.dirname, '../fixtures/libraries');
const NEVER = path.join(folder, 'never-loads.mjs');
const RECORDER = path.join(folder, 'provider.mjs');
const STUB = path.join(folder, 'backend.mjs');

test('refuses a library that does not finish loading with LIBRARY_LOAD_FAILED', async () => {
  const config = { libraries: [NEVER], bedrock: { start_timeout_ms: 50 } };
  await expect(checkConfig(config)).rejects.toMatchObject({ code: 'LIBRARY_LOAD_FAILED' });
});

const stub = (label: string, config = {}): NonNullable<BedrockConfig['providers']>[number] => ({
  type: 'warabi',
  config: { target: { type: 'stub', config: { label, ...config } } },
});
const lateStore = (name: string): NonNullable<BedrockConfig['providers']>[number] => ({
  type: 'warabi',
  config: { target: { type: 'late', config: { name } } },
});

/** Starts a daemon, and gives the signal when the log has a line or `reached` resolves. @returns the log */
async function interrupted(config: BedrockConfig, reached: string | Promise<unknown>): Promise<LogEntry[]> {
  const stop = new AbortController();
  const { logger, entries } = recordingLogger();
  if (typeof reached === 'string') {
    const push = entries.push.bind(entries);
    entries.push = (...added) => {
      // In the turn after: the provider has begun to wait then.
      if (added.some(({ message }) => message === reached)) setImmediate(() => stop.abort());
      return push(...added);
    };
  } else void reached.then(() => stop.abort());
  // With the time-outs that it has unless told: waiting for one of them would take longer than a test may.
  const starting = bootstrap(config, { listen: false, logger, signal: stop.signal });
  await expect(starting).rejects.toMatchObject({ code: 'START_FAILED' });
  return entries;
}

const steps = (entries: readonly LogEntry[]): string[] =>
  entries
    .filter(({ message }) => message === 'open' || message === 'close')
    .map(({ message, fields }) => `${String(fields.label)} ${message}`);

describe('a signal during the start', () => {
  test('before any provider has begun lets none begin', async () => {
    const options = { listen: false, logLevel: 'off', signal: AbortSignal.abort() } as const;
    await expect(bootstrap({ providers: [stub('a')], libraries: [STUB] }, options)).rejects.toMatchObject({
      code: 'START_FAILED',
    });
  });

  it.each(['create', 'start'])('ends the wait for a provider whose %s never ends', async (hangs) => {
    const hanging = { type: 'recorder', config: { hangs } };
    const config = { libraries: [STUB, RECORDER], providers: [stub('before'), hanging, stub('behind')] };
    expect(steps(await interrupted(config, hangs))).toEqual(['before open', 'before close']);
  });

  it('ends it for an optional provider too, and starts none behind it', async () => {
    const hanging = { type: 'recorder', optional: true, config: { hangs: 'start' } };
    const config = { libraries: [STUB, RECORDER], providers: [stub('before'), hanging, stub('behind')] };
    expect(steps(await interrupted(config, 'start'))).toEqual(['before open', 'before close']);
  });

  it('ends the wait for a target whose create never ends', async () => {
    const config = { libraries: [STUB], providers: [stub('before'), stub('never', { hangs: true })] };
    const stop = new AbortController();
    const { logger, entries } = recordingLogger();
    const starting = bootstrap(config, { listen: false, logger, signal: stop.signal });
    const hasBegun = (): boolean => entries.filter(({ message }) => message === 'create target').length === 2;
    while (!hasBegun()) await new Promise(setImmediate);
    stop.abort();
    await expect(starting).rejects.toMatchObject({ code: 'START_FAILED' });
    expect(steps(entries)).toEqual(['before open', 'before close']);
  });

  it('ends the wait for a library that never loads', async () => {
    const stop = new AbortController();
    const starting = bootstrap(
      { libraries: [NEVER] },
      { listen: false, logLevel: 'off', signal: stop.signal },
    );
    setImmediate(() => stop.abort());
    await expect(starting).rejects.toMatchObject({ code: 'START_FAILED' });
  });

  it('ends the wait for another daemon that does not answer', async () => {
    const connected: (() => void)[] = [];
    const silent = createServer(() => connected.shift()?.());
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const sockets = new Set<Socket>();
    silent.on('connection', (socket) => sockets.add(socket));
    try {
      const dependencies = { upstream: `other@http://127.0.0.1:${port}` };
      const config = { libraries: [RECORDER], providers: [{ type: 'recorder', dependencies }] };
      await interrupted(config, new Promise<void>((resolve) => connected.push(resolve)));
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => silent.close(resolve));
    }
  });
});

/** A listener that says nothing, and counts those who came. */
async function silentListener(): Promise<{
  url: string;
  came: Socket[];
  first: Promise<void>;
  close(): Promise<void>;
}> {
  const came: Socket[] = [];
  const server = createServer();
  const first = new Promise<void>((resolve) => {
    server.on('connection', (socket) => {
      came.push(socket.on('error', () => undefined));
      resolve();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async (): Promise<void> => {
    for (const socket of came) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url, came, first, close };
}

test('a start that is given up closes the connection under way, and begins none for the dependencies behind it', async () => {
  const [slow, behind] = [await silentListener(), await silentListener()];
  try {
    const dependencies = {
      upstream: `other@${slow.url}`,
      spare: `other@${behind.url}`,
      many: [`other@${behind.url}`],
    };
    const config = { libraries: [RECORDER], providers: [{ type: 'recorder', dependencies }] };
    await interrupted(config, slow.first);
    for (const socket of slow.came)
      if (!socket.closed) await new Promise((resolve) => socket.resume().once('close', resolve));
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    // Listeners take connections in order: whoever came before is there when this one is.
    const last = createConnection(Number(new URL(behind.url).port), '127.0.0.1');
    await once(last, 'connect');
    const ours = last.localPort;
    while (!behind.came.some(({ remotePort }) => remotePort === ours)) await new Promise(setImmediate);
    last.destroy();
    expect(behind.came.map(({ remotePort }) => remotePort)).toEqual([ours]);
  } finally {
    await slow.close();
    await behind.close();
  }
});

describe('what comes into being after the start was given up', () => {
  beforeEach(() => {
    journal.length = 0;
  });
  afterEach(() => {
    late.create.open();
    late.open.open();
  });

  it('is closed when its open resolves', async () => {
    late.open.shut();
    const providers = [lateStore('one'), lateStore('two')];
    await interrupted({ libraries: [LATE_LIBRARY], providers }, late.open.arrivals(1));
    expect(journal).toEqual([]);
    late.open.open();
    while (journal.length < 2) await new Promise(setImmediate);
    expect(journal).toEqual(['one open', 'one close']);
  });

  it('is not opened when its create resolves', async () => {
    late.create.shut();
    await interrupted({ libraries: [LATE_LIBRARY], providers: [lateStore('one')] }, late.create.arrivals(1));
    late.create.open();
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    expect(journal).toEqual([]);
  });
});
