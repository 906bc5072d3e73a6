/** Dependency injection: what a reference leads to, and what a provider or a backend gets. */
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parseReference } from '../../core/contract/reference.js';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import type { Daemon } from '../../core/daemon/daemon.js';
import type { BackendContext, BedrockConfig, Provider } from '../../core/index.js';
import { AdmissionQueue } from '../../core/runtime/admission-queue.js';
import { recordingLogger } from '../fixtures/recording-logger.js';

const directory = path.resolve(import.meta.dirname, '../fixtures/libraries');
const memory = { target: { type: 'memory', config: {} } };
const store = (name: string, provider_id: number, extra = {}): object => ({
  type: 'warabi',
  name,
  provider_id,
  config: memory,
  ...extra,
});

interface Run {
  daemon: Daemon;
  /** What each provider was created with, by name. */
  contexts: Map<string, BackendContext>;
  warnings: string[];
}

async function run(
  providers: readonly object[],
  look: (run: Run) => Promise<void> | void,
  margo = {},
): Promise<void> {
  const { logger, entries } = recordingLogger();
  const config = { margo, libraries: ['./provider.mjs', './array.mjs'], providers } as BedrockConfig;
  const daemon = await bootstrap(config, { listen: false, logger, directory });
  const contexts = new Map<string, BackendContext>();
  for (const { fields } of entries) {
    const context = fields.context as BackendContext | undefined;
    if (context !== undefined) contexts.set(context.providerName, context);
  }
  const warnings = entries.filter(({ level }) => level === 'warning').map(({ component }) => component);
  try {
    await look({ daemon, contexts, warnings });
  } finally {
    await daemon.close();
  }
}

describe('a dependency on a provider', () => {
  it.each(['x', 'x@local', 'warabi:42', 'warabi:42@local'])('is found by %s', async (reference) => {
    const providers = [
      store('other', 41),
      store('x', 42),
      { type: 'dependant', name: 'd', dependencies: { store: reference } },
    ];
    await run(providers, async ({ daemon, contexts }) => {
      const found = contexts.get('d')?.dependencies.store as Provider;
      expect(found.targets).toHaveLength(1);
      expect(found.targets[0]).toBe(daemon.target('x'));
      const region = await found.targets[0]?.create(8);
      expect(region).toBeDefined();
    });
  });

  it('is found by a name and an id that were given to it', async () => {
    const nameless = { type: 'warabi', config: memory };
    const providers = [
      nameless,
      { type: 'recorder', name: 'by_name', dependencies: { spare: 'warabi_1' } },
      { type: 'recorder', name: 'by_id', dependencies: { spare: 'warabi:1' } },
    ];
    await run(providers, ({ contexts }) => {
      expect(contexts.get('by_name')?.dependencies.spare).toBeDefined();
      expect(contexts.get('by_id')?.dependencies.spare).toBe(contexts.get('by_name')?.dependencies.spare);
    });
  });

  it('is what create of that type gave, whatever the type', async () => {
    const providers = [
      { type: 'recorder', name: 'first' },
      { type: 'recorder', name: 'second', dependencies: { upstream: 'first' } },
    ];
    await run(providers, ({ contexts }) => {
      expect(contexts.get('second')?.dependencies.upstream).toMatchObject({ name: 'first' });
    });
  });

  it('is absent where it is optional and nobody names it', async () => {
    await run([{ type: 'recorder', name: 'r' }], ({ contexts }) => {
      expect(contexts.get('r')?.dependencies).toEqual({});
    });
  });

  it('is a list in the order of the configuration where there are many', async () => {
    const providers = [
      store('a', 1),
      store('b', 2),
      store('c', 3),
      { type: 'recorder', name: 'r', dependencies: { many: ['c', 'warabi:1', 'b@local'] } },
    ];
    await run(providers, ({ daemon, contexts }) => {
      const many = contexts.get('r')?.dependencies.many as Provider[];
      expect(many.map(({ targets }) => targets[0])).toEqual([
        daemon.target('c'),
        daemon.target('a'),
        daemon.target('b'),
      ]);
    });
  });

  it('may be an empty list where there are many', async () => {
    await run([{ type: 'recorder', name: 'r', dependencies: { many: [] } }], ({ contexts }) => {
      expect(contexts.get('r')?.dependencies.many).toEqual([]);
    });
  });
});

describe('a dependency on an execution pool', () => {
  it.each<[string, string | number]>([
    ['by its name', 'fast'],
    ['by its position', 0],
  ])('is found %s', async (_title, lane) => {
    const margo = { argobots: { pools: [{ name: 'fast', max_in_flight: 3, max_queued: 4 }] } };
    const providers = [{ type: 'recorder', name: 'r', dependencies: { lane } }];
    await run(
      providers,
      ({ contexts }) => {
        const pool = contexts.get('r')?.dependencies.lane;
        expect(pool).toBeInstanceOf(AdmissionQueue);
        expect(pool).toMatchObject({ name: 'fast', limits: { maxInFlight: 3, maxQueued: 4 } });
      },
      margo,
    );
  });

  it('is the same pool for all that name it', async () => {
    const providers = [
      { type: 'recorder', name: 'a', dependencies: { lane: 0 } },
      { type: 'recorder', name: 'b', dependencies: { lane: '__primary__' } },
    ];
    await run(providers, ({ contexts }) => {
      expect(contexts.get('a')?.dependencies.lane).toBe(contexts.get('b')?.dependencies.lane);
    });
  });
});

describe('a backend', () => {
  it('gets its dependencies through the provider that holds its target', async () => {
    const providers = [
      store('below', 1),
      store('above', 2, { config: { target: { type: 'layered' } }, dependencies: { store: 'below' } }),
    ];
    await run(providers, ({ daemon, contexts }) => {
      const found = contexts.get('above')?.dependencies.store as Provider;
      expect(found.targets[0]).toBe(daemon.target('below'));
    });
  });

  it('is told whose it is, and where relative paths count from', async () => {
    const providers = [
      store('below', 1),
      store('above', 2, { config: { target: { type: 'layered' } }, dependencies: { store: 'below' } }),
    ];
    await run(providers, ({ contexts }) => {
      expect(contexts.get('above')).toMatchObject({
        providerName: 'above',
        providerId: 2,
        baseDirectory: directory,
      });
    });
  });
});

describe('a provider that failed', () => {
  const failing = { type: 'recorder', name: 'broken', config: { fails: 'start' }, optional: true };
  const failingStore = { type: 'dependant', name: 'd' };

  it('takes with it the optional ones that need it', async () => {
    const noStore = store('broken', 1, {
      config: { target: { type: 'layered', config: { fails: 'open' } } },
      dependencies: { store: 'fine' },
      optional: true,
    });
    const providers = [
      store('fine', 2),
      noStore,
      { ...failingStore, optional: true, dependencies: { store: 'broken' } },
      { type: 'dependant', name: 'e', optional: true, dependencies: { store: 'fine' } },
    ];
    await run(providers, ({ daemon, contexts }) => {
      expect(daemon.providers.map(({ state }) => state)).toEqual(['running', 'failed', 'failed', 'running']);
      expect(contexts.has('d')).toBe(false);
    });
  });

  it('ends the start if one that is not optional needs it', async () => {
    const noStore = store('broken', 1, {
      config: { target: { type: 'layered', config: { fails: 'open' } } },
      dependencies: { store: 'fine' },
      optional: true,
    });
    const providers = [store('fine', 2), noStore, { ...failingStore, dependencies: { store: 'broken' } }];
    await expect(run(providers, () => undefined)).rejects.toMatchObject({
      code: 'START_FAILED',
      details: { provider: 'd' },
      cause: { code: 'DEPENDENCY_UNRESOLVED' },
    });
  });

  it('is absent for one that can do without it, which says so', async () => {
    const providers = [
      failing,
      { type: 'recorder', name: 'r', provider_id: 9, dependencies: { upstream: 'broken' } },
    ];
    await run(providers, ({ daemon, contexts, warnings }) => {
      expect(daemon.providers.map(({ state }) => state)).toEqual(['failed', 'running']);
      expect(contexts.get('r')?.dependencies.upstream).toBeUndefined();
      expect(warnings).toEqual(['recorder:9']);
    });
  });
});

describe('a reference', () => {
  it.each([
    ['x', { target: { name: 'x' }, location: 'local' }],
    ['x@local', { target: { name: 'x' }, location: 'local' }],
    ['warabi:42', { target: { type: 'warabi', providerId: 42 }, location: 'local' }],
    ['warabi:0@local', { target: { type: 'warabi', providerId: 0 }, location: 'local' }],
    ['x@http://[::1]:7480', { target: { name: 'x' }, location: 'http://[::1]:7480' }],
    [
      'warabi:1@unix:/run/a@b.sock',
      { target: { type: 'warabi', providerId: 1 }, location: 'unix:/run/a@b.sock' },
    ],
  ])('%s is understood', (text, reference) => {
    expect(parseReference(text)).toEqual(reference);
  });

  it.each(['', ' ', 'x y', ':1', 'x:', 'x:-1', 'x:1.5', 'x:1:2', '@local', 'x@', 'x@a b', 'x\n'])(
    '%j is none',
    (text) => {
      expect(parseReference(text)).toBeUndefined();
    },
  );
});
