/** Providers from start to stop: in order, in time, and with everything given back when one of them fails. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import type { Daemon } from '../../core/daemon/daemon.js';
import type { BedrockConfig } from '../../core/index.js';
import { type LogEntry, recordingLogger, type RecordingLogger } from '../fixtures/recording-logger.js';
import { holdTimers, passUntilSettled } from '../fixtures/held-time.js';

const directory = path.resolve(import.meta.dirname, '../fixtures/libraries');

const recorder = (name: string, config: object = {}, extra: object = {}): object => ({
  type: 'recorder',
  name,
  config,
  ...extra,
});

/** A warabi provider over the targets with these labels. */
const stubs = (name: string, ...targets: object[]): object => ({
  type: 'warabi',
  name,
  config: { targets: targets.map((config) => ({ type: 'stub', config })) },
});

let home: string;
let log: RecordingLogger;
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'bedrock-lifecycle-'));
  log = recordingLogger();
});
afterEach(() => rm(home, { recursive: true }));

/** Starts a daemon without a listener. */
function start(providers: readonly object[], bedrock: object = {}): Promise<Daemon> {
  return launch(providers, bedrock, false);
}

/** Starts a daemon that listens at a socket in `home`. */
function startListening(providers: readonly object[], bedrock: object = {}): Promise<Daemon> {
  return launch(providers, bedrock, true);
}

function launch(providers: readonly object[], bedrock: object, listen: boolean): Promise<Daemon> {
  const config = {
    margo: { mercury: { address: `unix:${path.join(home, 'bedrock.sock')}` } },
    bedrock: { drain_timeout_ms: 1000, ...bedrock },
    libraries: ['./provider.mjs', './backend.mjs'],
    providers,
  };
  return bootstrap(config as BedrockConfig, { logger: log.logger, directory, listen });
}

/** What the recorders and stubs did, as `name step`. */
function steps(): string[] {
  return log.entries.flatMap(({ message, fields }: LogEntry) => {
    if (message === 'open' || message === 'close') return `${String(fields.label)} ${message}`;
    const context = fields.context as { providerName: string } | undefined;
    return context === undefined ? [] : `${context.providerName} ${message}`;
  });
}

function isListening(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path.join(home, 'bedrock.sock'), () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

const errors = (): LogEntry[] => log.entries.filter(({ level }) => level === 'error');

describe('a daemon', () => {
  it('starts its providers in the order of the configuration and stops them in reverse', async () => {
    const daemon = await start([recorder('a'), recorder('b'), recorder('c')]);
    expect(daemon.providers.map(({ state }) => state)).toEqual(['running', 'running', 'running']);
    expect(steps()).toEqual(['a create', 'a start', 'b create', 'b start', 'c create', 'c start']);
    log.entries.length = 0;
    await daemon.close();
    expect(steps()).toEqual(['c stop', 'b stop', 'a stop']);
    expect(daemon.providers.map(({ state }) => state)).toEqual(['stopped', 'stopped', 'stopped']);
  });

  it('stops once, however often it is told to', async () => {
    const daemon = await start([recorder('a')]);
    await Promise.all([daemon.close(), daemon.close()]);
    await daemon.close();
    await expect(daemon.closed).resolves.toBe(true);
    expect(steps().filter((step) => step === 'a stop')).toHaveLength(1);
  });

  it('opens the targets of a provider in order and closes them in reverse', async () => {
    const daemon = await start([stubs('s', { label: 'one' }, { label: 'two' })]);
    await daemon.close();
    const moves = steps().filter((step) => /open|close/.test(step));
    expect(moves).toEqual(['one open', 'two open', 'two close', 'one close']);
  });

  it('listens while it runs, and leaves nothing behind', async () => {
    const daemon = await startListening([recorder('a')]);
    await expect(isListening()).resolves.toBe(true);
    await daemon.close();
    await expect(isListening()).resolves.toBe(false);
    await expect(readdir(home)).resolves.toEqual([]);
  });

  it('runs without providers', async () => {
    const daemon = await start([]);
    expect(daemon.providers).toEqual([]);
    await daemon.close();
  });
});

describe('a start that fails', () => {
  it.each<[string, object, string[]]>([
    ['create', { fails: 'create' }, ['b create']],
    ['start', { fails: 'start' }, ['b create', 'b start', 'b stop']],
  ])('in %s stops what runs and closes the listener', async (_title, config, ofB) => {
    const starting = startListening([recorder('a'), recorder('b', config), recorder('c')]);
    await expect(starting).rejects.toMatchObject({ code: 'START_FAILED', details: { provider: 'b' } });
    expect(steps()).toEqual(['a create', 'a start', ...ofB, 'a stop']);
    await expect(isListening()).resolves.toBe(false);
    await expect(readdir(home)).resolves.toEqual([]);
  });

  it('keeps what was thrown as its cause', async () => {
    const starting = start([recorder('a', { fails: 'start' })]);
    await expect(starting).rejects.toMatchObject({ cause: { message: 'start went wrong' } });
  });

  it.each(['nothing', 'nonsense', 'half', 'false targets'])(
    'because create gave %s has START_FAILED',
    async (makes) => {
      const starting = start([recorder('a'), recorder('b', { makes })]);
      await expect(starting).rejects.toMatchObject({ code: 'START_FAILED', details: { provider: 'b' } });
      expect(steps().at(-1)).toBe('a stop');
    },
  );

  it.each(['nothing', 'nonsense', 'half', 'no capabilities'])(
    'because create of a backend gave %s has START_FAILED',
    async (makes) => {
      const starting = start([recorder('a'), stubs('s', { makes })]);
      await expect(starting).rejects.toMatchObject({ code: 'START_FAILED', details: { provider: 's' } });
      expect(steps().at(-1)).toBe('a stop');
    },
  );

  it('in the second target closes the first', async () => {
    const starting = start([
      stubs('s', { label: 'one' }, { label: 'two', fails: 'open' }, { label: 'three' }),
    ]);
    await expect(starting).rejects.toMatchObject({ code: 'START_FAILED' });
    const moves = steps().filter((step) => /open|close/.test(step));
    expect(moves).toEqual(['one open', 'two open', 'one close']);
  });

  it('in create of a backend opens none of the targets', async () => {
    const starting = start([stubs('s', { label: 'one' }, { label: 'two', fails: 'create' })]);
    await expect(starting).rejects.toMatchObject({ code: 'START_FAILED' });
    expect(steps().filter((step) => /open|close/.test(step))).toEqual([]);
  });

  it('because a target that opened gives no account of itself closes it', async () => {
    const starting = start([stubs('s', { label: 'one', fails: 'stats' })]);
    await expect(starting).rejects.toMatchObject({ code: 'START_FAILED' });
    expect(steps().slice(-2)).toEqual(['one open', 'one close']);
  });

  it('stops the others even if one of them fails to stop', async () => {
    const starting = start([
      recorder('a'),
      recorder('b', { fails: 'stop' }),
      recorder('c', { fails: 'start' }),
    ]);
    await expect(starting).rejects.toMatchObject({ code: 'START_FAILED', details: { provider: 'c' } });
    expect(steps().slice(-3)).toEqual(['c stop', 'b stop', 'a stop']);
  });

  it('because create of a backend hangs ends with the time-out', async () => {
    const starting = start([recorder('a'), stubs('s', { hangs: true })], { start_timeout_ms: 50 });
    await expect(starting).rejects.toMatchObject({ code: 'START_FAILED', details: { provider: 's' } });
    expect(steps().at(-1)).toBe('a stop');
  });

  it.each(['create', 'start'])('because %s hangs ends with the time-out', async (hangs) => {
    const starting = startListening([recorder('a'), recorder('b', { hangs })], { start_timeout_ms: 50 });
    await expect(starting).rejects.toMatchObject({ code: 'START_FAILED', details: { provider: 'b' } });
    expect(steps().at(-1)).toBe('a stop');
    await expect(isListening()).resolves.toBe(false);
  });
});

describe('the time-out of a start', () => {
  const realNow = performance.now.bind(performance);
  // The clock stands still unless it is told to go on.
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate', 'clearImmediate'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  /** However many turns the system takes over it: a library is read from a file. */
  async function until(step: string): Promise<void> {
    const end = realNow() + 250_000;
    while (!steps().includes(step)) {
      if (realNow() > end) throw new Error(`${step} did not come: ${steps().join(', ')}`);
      await turn();
    }
  }

  it('is one for create and start together', async () => {
    const starting = start([recorder('a', { takes_ms: 60 })], { start_timeout_ms: 100 });
    const failure = expect(starting).rejects.toMatchObject({ code: 'START_FAILED' });
    await until('a create');
    await jest.advanceTimersByTimeAsync(60);
    await until('a start');
    await jest.advanceTimersByTimeAsync(40);
    await until('a stop');
    await jest.advanceTimersByTimeAsync(60);
    await failure;
  });

  it('is one for each provider', async () => {
    const slow = { takes_ms: 60 };
    const starting = start([recorder('a', slow), recorder('b', slow)], { start_timeout_ms: 130 });
    for (const step of ['a create', 'a start', 'b create', 'b start']) {
      await until(step);
      await jest.advanceTimersByTimeAsync(60);
    }
    const closed = (await starting).close();
    for (const step of ['b stop', 'a stop']) {
      await until(step);
      await jest.advanceTimersByTimeAsync(60);
    }
    await closed;
  });

  it('leaves closed the targets whose turn did not come', async () => {
    const targets = [{ label: 'one', opens_after_ms: 100 }, { label: 'two' }];
    const starting = start([stubs('s', ...targets)], { start_timeout_ms: 30 });
    const failure = expect(starting).rejects.toMatchObject({ code: 'START_FAILED' });
    await until('one open');
    await jest.advanceTimersByTimeAsync(30);
    await failure;
    await jest.advanceTimersByTimeAsync(70);
    await until('one close');
    for (let turns = 0; turns < 20; turns++) await turn();
    expect(steps()).not.toContain('two open');
  });
});

describe('an optional provider', () => {
  it.each<[string, object, object]>([
    ['fails in create', recorder('b', { fails: 'create' }, { optional: true }), {}],
    ['fails in start', recorder('b', { fails: 'start' }, { optional: true }), {}],
    ['hangs in start', recorder('b', { hangs: 'start' }, { optional: true }), { start_timeout_ms: 50 }],
    ['gives nonsense', recorder('b', { makes: 'nonsense' }, { optional: true }), {}],
    [
      'has a backend that hangs in create',
      { ...stubs('b', { hangs: true }), optional: true },
      { start_timeout_ms: 50 },
    ],
    ['has a backend that throws in create', { ...stubs('b', { fails: 'create' }), optional: true }, {}],
    ['has a backend that gives nonsense', { ...stubs('b', { makes: 'nonsense' }), optional: true }, {}],
    ['has a target that does not open', { ...stubs('b', { fails: 'open' }), optional: true }, {}],
    [
      'has a target that gives no account of itself',
      { ...stubs('b', { fails: 'stats' }), optional: true },
      {},
    ],
  ])('that %s is left out, and the daemon goes on', async (_title, broken, bedrock) => {
    const daemon = await start([recorder('a'), broken, recorder('c')], bedrock);
    expect(daemon.providers.map(({ state }) => state)).toEqual(['running', 'failed', 'running']);
    expect(daemon.providers[1]?.targets).toEqual([]);
    expect(() => daemon.target('b')).toThrow(expect.objectContaining({ code: 'NOT_READY' }));
    expect(errors().length).toBeGreaterThan(0);
    log.entries.length = 0;
    await daemon.close();
    expect(steps()).toEqual(['c stop', 'a stop']);
  });

  it('that starts is like any other', async () => {
    const daemon = await start([recorder('a', {}, { optional: true })]);
    expect(daemon.providers[0]?.state).toBe('running');
    await daemon.close();
    expect(errors()).toEqual([]);
  });
});

describe('a stop', () => {
  it('that fails in one provider goes on with the others, is logged, and was not clean', async () => {
    const daemon = await start([recorder('a'), recorder('b', { fails: 'stop' }), recorder('c')]);
    await daemon.close();
    await expect(daemon.closed).resolves.toBe(false);
    expect(steps().slice(-3)).toEqual(['c stop', 'b stop', 'a stop']);
    expect(errors()).toHaveLength(1);
  });

  it('that hangs in one provider goes on with the others after the time-out', async () => {
    const daemon = await start([recorder('a'), recorder('b', { hangs: 'stop' })], { drain_timeout_ms: 0 });
    holdTimers('setTimeout');
    await passUntilSettled(daemon.close()).finally(() => jest.useRealTimers());
    expect(steps().slice(-2)).toEqual(['b stop', 'a stop']);
    expect(errors()).toHaveLength(1);
  });

  it('that fails in one target closes the others', async () => {
    const daemon = await start([stubs('s', { label: 'one' }, { label: 'two', fails: 'close' })]);
    await daemon.close();
    expect(steps().slice(-2)).toEqual(['two close', 'one close']);
    expect(errors()).toHaveLength(1);
  });
});

describe('a target of a daemon', () => {
  const memory = { type: 'memory', config: {} };

  it('is found by the name and by the id of its provider, and by its number', async () => {
    const providers = [{ type: 'warabi', name: 's', provider_id: 42, config: { targets: [memory, memory] } }];
    const daemon = await start(providers);
    expect(daemon.target('s')).toBe(daemon.target(42));
    expect(daemon.target('s', 1)).toBe(daemon.target('42', 1));
    expect(daemon.target('s', 1)).not.toBe(daemon.target('s', 0));
    await daemon.close();
  });

  it('is refused with the code that says why', async () => {
    const daemon = await start([recorder('r'), { type: 'warabi', name: 's', config: { target: memory } }]);
    const refusal = (code: string): unknown => expect.objectContaining({ code });
    expect(() => daemon.target('nobody')).toThrow(refusal('PROVIDER_NOT_FOUND'));
    expect(() => daemon.target(99)).toThrow(refusal('PROVIDER_NOT_FOUND'));
    expect(() => daemon.target('s', 1)).toThrow(refusal('INVALID_ARGUMENT'));
    expect(() => daemon.target('s', -1)).toThrow(refusal('INVALID_ARGUMENT'));
    expect(() => daemon.target('r')).toThrow(refusal('NOT_SUPPORTED'));
    await daemon.close();
  });
});
