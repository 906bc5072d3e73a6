/** Configurations that must be taken, what becomes of them, and that a running configuration is one again. */
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { configFromObject, parseConfig } from '../../core/config/document.js';
import { bootstrap, checkConfig, type ConfigInput } from '../../core/daemon/bootstrap.js';
import type { Daemon } from '../../core/daemon/daemon.js';
import type { BedrockConfig } from '../../core/index.js';
import { recordingLogger } from '../fixtures/recording-logger.js';

const memory = { target: { type: 'memory', config: {} } };
const library = path.resolve(import.meta.dirname, '../fixtures/libraries/backend.mjs');

let home: string;
beforeAll(async () => {
  home = await realpath(await mkdtemp(path.join(tmpdir(), 'bedrock-valid-configs-')));
});
afterAll(() => rm(home, { recursive: true }));

/** Runs a configuration without a listener for as long as `look` takes. */
async function running<T>(config: ConfigInput, look: (daemon: Daemon) => T, directory?: string): Promise<T> {
  const { logger } = recordingLogger();
  const options = { listen: false, logger, ...(directory !== undefined && { directory }) };
  const daemon = await bootstrap(config, options);
  try {
    return look(daemon);
  } finally {
    await daemon.close();
  }
}

const configOf = (config: string | object, directory?: string): Promise<BedrockConfig> =>
  running(config, (daemon) => daemon.config, directory);

const json = (text: string): ConfigInput => parseConfig(text, 'json', 'bedrock.json');
const toml = (text: string): ConfigInput => parseConfig(text, 'toml', 'bedrock.toml');

/** So that whoever changes it throws. */
function frozen<T extends object>(value: T): T {
  for (const inner of Object.values(value))
    if (typeof inner === 'object' && inner !== null) frozen(inner as object);
  return Object.freeze(value);
}

/** In the style of Mochi's documentation: everything written out. */
const MOCHI_STYLE = {
  margo: {
    mercury: {},
    argobots: {
      abt_mem_max_num_stacks: 8,
      abt_thread_stacksize: 2097152,
      version: '1.1',
      pools: [
        { name: '__primary__', kind: 'fifo_wait', access: 'mpmc' },
        { name: 'rpc', kind: 'fifo_wait', access: 'mpmc' },
        { name: 'progress', kind: 'prio_wait', access: 'mpmc' },
      ],
      xstreams: [
        {
          name: '__primary__',
          cpubind: 0,
          affinity: [0, 1],
          scheduler: { type: 'basic_wait', pools: ['__primary__'] },
        },
        {
          name: 'workers',
          cpubind: -1,
          affinity: [],
          scheduler: { type: 'default', pools: [1, 'progress'] },
        },
      ],
    },
    progress_pool: 'progress',
    rpc_pool: 1,
    progress_timeout_ub_msec: 100,
    enable_abt_profiling: false,
    handle_cache_size: 32,
  },
  abt_io: [{ name: 'my_abt_io', pool: '__primary__', config: { internal_pool_flag: false } }],
  ssg: [{ name: 'my_group', bootstrap: 'init', pool: 'rpc', swim: { disabled: false } }],
  mona: [{ name: 'my_mona', pool: 'rpc', address: 'na+sm' }],
  clients: [{ name: 'my_client', type: 'warabi', config: {}, dependencies: {}, tags: ['a'] }],
  libraries: { cache: library },
  bedrock: { pool: '__primary__', provider_id: 0 },
  providers: [
    {
      name: 'my_store',
      type: 'warabi',
      provider_id: 42,
      pool: 'rpc',
      tags: ['fast', 'volatile'],
      config: memory,
      dependencies: {},
    },
  ],
};

const REFERENCE_TARGET = {
  providers: [{ type: 'warabi', provider_id: 42, config: { target: { type: 'memory', config: {} } } }],
};
const REFERENCE_TARGETS = {
  providers: [{ type: 'warabi', provider_id: 42, config: { targets: [{ type: 'memory', config: {} }] } }],
};

const VALID: [title: string, config: object, warnings: number][] = [
  ['an empty configuration', {}, 0],
  ['empty sections', { margo: {}, bedrock: {}, libraries: [], providers: [] }, 0],
  ['$schema, for editors', { $schema: './schemas/bedrock.schema.json' }, 0],
  ['an ABT-IO instance', { abt_io: [{ name: 'my_abt_io', pool: '__primary__' }] }, 1],
  [
    'several ABT-IO instances, some without a name',
    { abt_io: [{ pool: 0 }, { pool: 0 }, { name: 'a', pool: 0, config: {} }] },
    1,
  ],
  ['an SSG group that MPI bootstraps', { ssg: [{ name: 'my_ssg_group', bootstrap: 'mpi' }] }, 1],
  ['a single SSG group', { ssg: { name: 'mygroup', bootstrap: 'init', group_file: 'mygroup.ssg' } }, 1],
  [
    'a MoNA instance',
    { mona: [{ name: 'my_mona', pool: '__primary__', address: 'ofi+tcp://127.0.0.1:4000' }] },
    1,
  ],
  ['a client', { clients: [{ name: 'c', type: 'warabi' }] }, 1],
  [
    'a progress thread and threads for calls',
    { margo: { use_progress_thread: true, rpc_thread_count: 2 } },
    2,
  ],
  [
    'the settings of Mercury',
    { margo: { mercury: { listening: true, auto_sm: false, version: '2.3.1' } } },
    3,
  ],
  [
    'one execution stream',
    { margo: { argobots: { xstreams: [{ name: '__primary__', scheduler: { pools: [0] } }] } } },
    0,
  ],
  [
    'two execution streams',
    {
      margo: {
        argobots: { xstreams: [{ scheduler: { pools: [0] } }, { scheduler: { pools: ['__primary__'] } }] },
      },
    },
    1,
  ],
  ['everything that an example of Mochi writes out', MOCHI_STYLE, 13],
  ['the example with one target', REFERENCE_TARGET, 0],
  ['the example with a list of targets', REFERENCE_TARGETS, 0],
  [
    'several targets',
    {
      providers: [
        {
          type: 'warabi',
          config: { targets: [{ type: 'memory' }, { type: 'memory', config: { max_bytes: 0 } }] },
        },
      ],
    },
    0,
  ],
  [
    'a transfer manager',
    { providers: [{ type: 'warabi', config: { ...memory, transfer_manager: { type: 'pipeline' } } }] },
    0,
  ],
  ['libraries in an array', { libraries: [library] }, 0],
  ['libraries in the older form', { libraries: { backend: library } }, 0],
  ['the highest provider_id', { providers: [{ type: 'warabi', provider_id: 65534, config: memory }] }, 0],
  [
    'a provider_id of 0 where Bedrock has another',
    { bedrock: { provider_id: 1 }, providers: [{ type: 'warabi', provider_id: 0, config: memory }] },
    0,
  ],
  ['dependencies without an entry', { providers: [{ type: 'warabi', config: memory, dependencies: {} }] }, 0],
];

describe('a valid configuration', () => {
  it.each(VALID)('may have %s', async (_title, config, warnings) => {
    await expect(checkConfig(config)).resolves.toHaveLength(warnings);
  });

  it.each(VALID)('with %s runs, and its running configuration gives itself again', async (_title, config) => {
    const first = await configOf(config);
    await expect(configOf(first)).resolves.toEqual(first);
    const throughText = await configOf(json(JSON.stringify(first)));
    expect(throughText).toEqual(first);
  });

  it('is not changed by being run', async () => {
    const given = structuredClone(MOCHI_STYLE);
    await configOf(given);
    expect(given).toEqual(MOCHI_STYLE);
  });

  it('says of each key of Mochi that means nothing here where it stands', async () => {
    const text = '{\n  "margo": { "rpc_thread_count": 2 },\n  "ssg": []\n}';
    const warnings = await checkConfig(json(text));
    expect(warnings[0]).toContain('bedrock.json:2:14: $.margo.rpc_thread_count: ');
    expect(warnings[1]).toContain('bedrock.json:3:3: $.ssg: ');
  });

  it('logs its warnings at the start, one each', async () => {
    const { logger, entries } = recordingLogger();
    const daemon = await bootstrap({ margo: { rpc_thread_count: 2 } }, { listen: false, logger });
    await daemon.close();
    expect(entries.filter(({ level }) => level === 'warning')).toHaveLength(1);
  });
});

describe('defaults', () => {
  it('fill in everything', async () => {
    await expect(configOf({})).resolves.toEqual({
      margo: {
        mercury: { address: 'http://127.0.0.1:7480' },
        argobots: {
          pools: [
            { name: '__primary__', kind: 'fifo_wait', access: 'mpmc', max_in_flight: 256, max_queued: 4096 },
          ],
          xstreams: [],
        },
        rpc_pool: '__primary__',
      },
      bedrock: {
        provider_id: 0,
        http: {
          max_body_bytes: 2 ** 40,
          max_json_body_bytes: 2 ** 20,
          min_body_rate: 100,
          max_header_bytes: 16384,
          max_connections: 1024,
          max_answers_bytes: 2 ** 29,
          progress_timeout_ms: 30000,
          keep_alive_timeout_ms: 75000,
          allowed_hosts: [],
          allowed_origins: [],
          dashboard: true,
        },
        log: { level: 'info', format: 'text' },
        query: {
          max_time_ms: 1000,
          max_memory_bytes: 2 ** 26,
          max_depth: 500,
          max_answer_bytes: 2 ** 22,
          max_expression_bytes: 2 ** 16,
          max_queued: 16,
        },
        insecure: false,
        unix: { mode: '0600' },
        drain_timeout_ms: 10000,
        start_timeout_ms: 60000,
      },
      libraries: [],
      providers: [],
    });
  });

  it('give providers without a name and an id the lowest free id and <type>_<id>', async () => {
    const one = { type: 'warabi', config: memory };
    const providers = [
      one,
      { ...one, provider_id: 2 },
      one,
      { ...one, name: 'named' },
      { ...one, provider_id: 1 },
    ];
    const config = await configOf({ providers });
    expect(config.providers?.map(({ name, provider_id }) => [name, provider_id])).toEqual([
      ['warabi_3', 3],
      ['warabi_2', 2],
      ['warabi_4', 4],
      ['named', 5],
      ['warabi_1', 1],
    ]);
  });

  it('give id 0 where Bedrock has another', async () => {
    const one = { type: 'warabi', config: memory };
    const config = await configOf({ bedrock: { provider_id: 1 }, providers: [one, one] });
    expect(config.providers?.map(({ provider_id }) => provider_id)).toEqual([0, 2]);
  });

  it('give pools and streams without a name one by their position', async () => {
    const pools = [{}, { name: '__pool_2__' }, {}];
    const xstreams = [{ scheduler: { pools: ['__pool_0__'] } }];
    const config = await configOf({ margo: { argobots: { pools, xstreams } } });
    expect(config.margo?.argobots?.pools?.map(({ name }) => name)).toEqual([
      '__pool_0__',
      '__pool_2__',
      '__pool_3__',
      '__primary__',
    ]);
    expect(config.margo?.argobots?.xstreams?.map(({ name }) => name)).toEqual(['__xstream_0__']);
  });

  it('complete the settings of providers and backends', async () => {
    const config = await configOf({
      providers: [{ type: 'warabi', config: { target: { type: 'memory' } } }],
    });
    expect(config.providers?.[0]).toEqual({
      name: 'warabi_1',
      type: 'warabi',
      provider_id: 1,
      tags: [],
      config: { target: { type: 'memory', config: { max_transaction_bytes: 2 ** 20 } } },
      dependencies: {},
      optional: false,
    });
  });
});

describe('execution pools', () => {
  const pools = [{ name: 'a', max_in_flight: 1 }, { name: 'b' }];
  const provider = (extra: object): object => ({ type: 'warabi', config: memory, ...extra });

  it.each<[string, object]>([
    ['by name', { pool: 'b' }],
    ['by position', { pool: 1 }],
    ['by name among the dependencies', { dependencies: { pool: 'b' } }],
    ['by position among the dependencies', { dependencies: { pool: 1 } }],
    ['in both places, where they agree', { pool: 1, dependencies: { pool: 'b' } }],
    ['that is the default', {}],
  ])('are found %s', async (_title, extra) => {
    const config = { margo: { argobots: { pools }, rpc_pool: 'b' }, providers: [provider(extra)] };
    await running(config as BedrockConfig, (daemon) => {
      // Not among what programs are promised, but what the front doors go by.
      expect(daemon.providers[0]).toMatchObject({
        executionPool: { name: 'b', limits: { maxInFlight: 256 } },
      });
    });
  });

  it('include __primary__ with the limits that are listed for it', async () => {
    const primary = { name: '__primary__', max_in_flight: 2, max_queued: 3 };
    const config = { margo: { argobots: { pools: [primary] } }, providers: [provider({})] };
    await running(config as BedrockConfig, (daemon) => {
      expect(daemon.config.margo?.argobots?.pools).toHaveLength(1);
      expect(daemon.providers[0]).toMatchObject({
        executionPool: { limits: { maxInFlight: 2, maxQueued: 3 } },
      });
    });
  });
});

describe('configurations in the ways of the manuals and tests of Bedrock and Warabi', () => {
  const warabi = (config: object, more: object = {}): object => ({
    providers: [{ type: 'warabi', name: 'blobs', provider_id: 12, config, ...more }],
  });
  const target = (type: string, config: object): object => warabi({ target: { type, config } });
  const pools = ['net', 'work'].map((name) => ({ name, kind: 'fifo_wait', access: 'mpmc' }));

  it.each<[title: string, config: object, ignored: string[]]>([
    ['a memory target', target('memory', {}), []],
    ['a list of one', warabi({ targets: [{ type: 'memory', config: {} }] }), []],
    [
      'persistent memory',
      target('pmem', { path: '/pm/a.pool', create_if_missing_with_size: 2 ** 33, override_if_exists: false }),
      [],
    ],
    ['its older name', target('pmdk', { path: '/tmp/t.dat', create_if_missing_with_size: 10485760 }), []],
    [
      'a file through ABT-IO, everything written out',
      target('abtio', {
        path: '/data/a',
        create_if_missing: true,
        override_if_exists: true,
        alignment: 4096,
        directio: false,
        abt_io: {},
      }),
      ['config.target.config.abt_io'],
    ],
    [
      'the default transfer manager',
      warabi({ target: { type: 'memory' }, transfer_manager: { type: '__default__', config: {} } }),
      [],
    ],
    [
      'a pipeline',
      warabi({
        target: { type: 'memory', config: {} },
        transfer_manager: {
          type: 'pipeline',
          config: {
            num_pools: 2,
            num_buffers_per_pool: 8,
            first_buffer_size: 1024,
            buffer_size_multiplier: 2,
          },
        },
      }),
      // A piece has 4 KiB at least.
      ['config.transfer_manager.config'],
    ],
    [
      'a pipeline of large buffers, which has more in flight than there may be',
      warabi({
        target: { type: 'memory' },
        transfer_manager: { type: 'pipeline', config: { num_pools: 4, first_buffer_size: 2 ** 21 } },
      }),
      ['config.transfer_manager.config'],
    ],
    [
      'a pipeline as it is by default',
      warabi({ target: { type: 'memory' }, transfer_manager: { type: 'pipeline' } }),
      [],
    ],
    [
      'settings of a pipeline without one',
      warabi({ target: { type: 'memory' }, transfer_manager: { config: { num_pools: 2 } } }),
      ['config.transfer_manager.config'],
    ],
    [
      'three targets of the older form',
      warabi({
        targets: [
          { type: 'memory', config: {} },
          { type: 'pmem', config: { path: '/pm/a', size: 2 ** 33 } },
          { type: 'abt-io', config: { path: '/data/a', num_threads: 4 } },
        ],
      }),
      ['config.targets[2].config.num_threads'],
    ],
    [
      'what Bedrock prints of a provider',
      warabi({ target: { type: 'memory' } }, { engine: 0, tags: [], dependencies: {} }),
      ['engine'],
    ],
    [
      'a pool for the network and one for the work',
      {
        margo: {
          mercury: {},
          argobots: {
            pools,
            xstreams: pools.map(({ name }, cpu) => ({
              name: `es_${name}`,
              cpubind: cpu,
              affinity: [cpu],
              scheduler: { type: 'basic_wait', pools: [name] },
            })),
          },
          progress_pool: 'net',
          rpc_pool: 'work',
        },
        bedrock: { pool: 'work', provider_id: 0 },
      },
      ['margo.progress_pool', 'bedrock.pool', 'margo.argobots.xstreams'],
    ],
    [
      'the defaults of Margo, written out',
      {
        margo: {
          argobots: {
            abt_mem_max_num_stacks: 8,
            abt_thread_stacksize: 2097152,
            lazy_stack_alloc: false,
            profiling_dir: '.',
            pools: [{ name: '__primary__', kind: 'fifo_wait', access: 'mpmc' }],
            xstreams: [{ name: '__primary__', scheduler: { type: 'basic_wait', pools: ['__primary__'] } }],
          },
          enable_abt_profiling: false,
          handle_cache_size: 32,
          plumber: { bucket_policy: 'package', nic_policy: 'roundrobin' },
          progress_pool: '__primary__',
          progress_spindown_msec: 10,
          progress_timeout_ub_msec: 100,
          rpc_pool: '__primary__',
        },
        libraries: [],
        providers: [],
      },
      [
        ...['abt_mem_max_num_stacks', 'abt_thread_stacksize', 'lazy_stack_alloc', 'profiling_dir'].map(
          (key) => `margo.argobots.${key}`,
        ),
        ...['progress_pool', 'progress_timeout_ub_msec', 'progress_spindown_msec', 'handle_cache_size'].map(
          (key) => `margo.${key}`,
        ),
        'margo.enable_abt_profiling',
        'margo.plumber',
      ],
    ],
  ])('are valid, with a notice for each key that is ignored: %s', async (_title, config, ignored) => {
    const warnings = await checkConfig(config);
    const paths = warnings.map((warning) => /\$\.(?:providers\[0\]\.)?(\S+): /.exec(warning)?.[1]);
    expect(paths.toSorted()).toEqual(ignored.toSorted());
  });
});

describe('keys with dots', () => {
  it('mean keys one inside the other, at every level, and merge', async () => {
    const config = await configOf({
      'margo.mercury.address': 'unix:/tmp/a.sock',
      margo: { 'argobots.pools': [{ name: 'a' }], rpc_pool: 'a' },
      'margo.argobots': { xstreams: [] },
      'bedrock.log.level': 'off',
      bedrock: { drain_timeout_ms: 1, log: { format: 'json' } },
      providers: [
        { type: 'warabi', 'config.target.type': 'memory', 'config.target.config': { max_bytes: 1 } },
      ],
    });
    expect(config).toMatchObject({
      margo: {
        mercury: { address: 'unix:/tmp/a.sock' },
        argobots: { pools: [{ name: 'a' }, { name: '__primary__' }], xstreams: [] },
        rpc_pool: 'a',
      },
      bedrock: { drain_timeout_ms: 1, log: { level: 'off', format: 'json' } },
      providers: [{ config: { target: { type: 'memory', config: { max_bytes: 1 } } } }],
    });
    expect(Object.keys(config).filter((key) => key.includes('.'))).toEqual([]);
  });
});

describe('JSON', () => {
  it('may have comments and trailing commas', async () => {
    const text = `// the daemon
    {
      /* one store */
      "providers": [
        { "type": "warabi", "config": { "target": { "type": "memory", }, }, }, // volatile
      ],
    }`;
    await expect(checkConfig(json(text))).resolves.toEqual([]);
  });

  it('may begin with a byte order mark, and end its lines the way of Windows', async () => {
    await expect(checkConfig(json('\uFEFF{\r\n  "providers": []\r\n}\r\n'))).resolves.toEqual([]);
  });
});

describe('TOML', () => {
  it('says the same as JSON', async () => {
    const text = `
      libraries = ["${library}"]
      [margo]
      rpc_pool = "b"
      mercury.address = "http://127.0.0.1:0"
      [[margo.argobots.pools]]
      name = "b"
      max_in_flight = 8
      [bedrock.log]
      level = "off"
      [[providers]]
      type = "warabi"
      provider_id = 42
      tags = ["a", "b"]
      [providers.config.target]
      type = "memory"
      config = { max_bytes = 1_048_576 }
      [[providers]]
      type = "warabi"
      "config.target.type" = "memory"
    `;
    const same = {
      libraries: [library],
      margo: {
        rpc_pool: 'b',
        mercury: { address: 'http://127.0.0.1:0' },
        argobots: { pools: [{ name: 'b', max_in_flight: 8 }] },
      },
      bedrock: { log: { level: 'off' } },
      providers: [
        {
          type: 'warabi',
          provider_id: 42,
          tags: ['a', 'b'],
          config: { target: { type: 'memory', config: { max_bytes: 1048576 } } },
        },
        { type: 'warabi', config: { target: { type: 'memory' } } },
      ],
    };
    await expect(configOf(toml(text))).resolves.toEqual(await configOf(same));
  });

  it('may begin with a byte order mark', async () => {
    await expect(checkConfig(toml('\uFEFF[margo]\n'))).resolves.toEqual([]);
  });

  it('is known by the ending of the file', async () => {
    const file = path.join(home, 'bedrock.toml');
    await writeFile(file, '[[providers]]\ntype = "warabi"\nconfig.target.type = "memory"\n');
    await expect(configOf(file)).resolves.toMatchObject({ providers: [{ name: 'warabi_1' }] });
  });
});

describe('addresses', () => {
  it.each([
    ['http://127.0.0.1:7480', 'http://127.0.0.1:7480'],
    ['http://localhost', 'http://localhost:7480'],
    ['http://localhost/', 'http://localhost:7480'],
    ['http://localhost:80', 'http://localhost:80'],
    ['http://localhost:0', 'http://localhost:0'],
    ['http://localhost:65535/', 'http://localhost:65535'],
    ['HTTP://Node-1.Cluster.example:80', 'http://node-1.cluster.example:80'],
    ['http://[::1]:7480', 'http://[::1]:7480'],
    ['http://[::1]', 'http://[::1]:7480'],
    ['http://0.0.0.0:7480', 'http://0.0.0.0:7480'],
    ['unix:/run/bedrock.sock', 'unix:/run/bedrock.sock'],
    ['unix:///run/bedrock.sock', 'unix:/run/bedrock.sock'],
    ['unix:/run/a b:c.sock', 'unix:/run/a b:c.sock'],
    [`unix:/${'x'.repeat(106)}`, `unix:/${'x'.repeat(106)}`],
  ])('%s is %s', async (given, running) => {
    const config = await configOf({ margo: { mercury: { address: given } }, bedrock: { insecure: true } });
    expect(config.margo?.mercury?.address).toBe(running);
  });
});

describe('relative paths', () => {
  it('of libraries count from the folder of the file, and are absolute in the running configuration', async () => {
    const folder = path.join(home, 'nested');
    await mkdir(path.join(folder, 'lib'), { recursive: true });
    const definition = `{ kind: 'backend', apiVersion: 1, type: 'x', schema: {}, create: () => undefined }`;
    await writeFile(path.join(folder, 'lib/x.mjs'), `export default ${definition};`);
    await writeFile(path.join(folder, 'bedrock.json'), '{ "libraries": ["./lib/x.mjs"] }');
    await writeFile(path.join(folder, 'older.json'), '{ "libraries": { "x": "lib/x.mjs" } }');
    const absolute = path.join(folder, 'lib/x.mjs');
    const config = await configOf(path.join(folder, 'bedrock.json'));
    expect(config.libraries).toEqual([absolute]);
    const older = await configOf(path.join(folder, 'older.json'));
    expect(older.libraries).toEqual({ x: absolute });
    await expect(configOf(config, home)).resolves.toEqual(config);
  });

  it('of an object count from the folder that the program names', async () => {
    const folder = path.dirname(library);
    const config = await configOf({ libraries: ['./backend.mjs'] }, folder);
    expect(config.libraries).toEqual([library]);
  });

  it('of a socket count from the folder of the file, and one given in its place from the working directory', async () => {
    const file = path.join(home, 'socket.json');
    await writeFile(file, '{ "margo.mercury.address": "unix:bedrock.sock" }');
    const config = await configOf(file);
    expect(config.margo?.mercury?.address).toBe(`unix:${path.join(home, 'bedrock.sock')}`);
    const { logger } = recordingLogger();
    const daemon = await bootstrap(file, { listen: false, logger, address: 'unix:b.sock' });
    await daemon.close();
    expect(daemon.config.margo?.mercury?.address).toBe(`unix:${path.resolve('b.sock')}`);
  });
});

describe('validation', () => {
  it('leaves the document as it is, whatever it fills in and resolves', async () => {
    const document = configFromObject(
      {
        margo: { argobots: { pools: [{}], xstreams: [{ scheduler: { pools: [0] } }] } },
        bedrock: { resp: { unix: 'resp.sock' }, log: { file: 'daemon.log' } },
        libraries: [library],
        providers: [
          { type: 'warabi', config: { target: { type: 'memory' } } },
          { type: 'warabi', config: { target: { type: 'file', config: { path: 'a.pool', size: 8 << 20 } } } },
        ],
      },
      home,
    );
    frozen(document.root);
    await expect(checkConfig(document, { respAddress: '127.0.0.1:0' })).resolves.toEqual([]);
  });
});
