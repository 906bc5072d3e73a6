/** The library door: what can come in, in which forms, and what it can then be named by. */
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { UsageError } from '../../core/cli/failure.js';
import { bootstrap, checkConfig } from '../../core/daemon/bootstrap.js';
import { BaseTarget, type BedrockConfig, BedrockError, RegionId } from '../../core/index.js';
import { type LogEntry, recordingLogger } from '../fixtures/recording-logger.js';

const folder = path.resolve(import.meta.dirname, '../fixtures/libraries');

const target = (type: string, config = {}): object => ({
  type: 'warabi',
  config: { target: { type, config } },
});

/** Starts and stops a daemon. @returns what was logged */
async function run(
  libraries: readonly string[],
  providers: readonly object[],
  directory = folder,
): Promise<LogEntry[]> {
  const { logger, entries } = recordingLogger();
  const config = { libraries, providers } as BedrockConfig;
  const daemon = await bootstrap(config, { listen: false, logger, directory });
  expect(daemon.providers.map(({ state }) => state)).toEqual(providers.map(() => 'running'));
  await daemon.close();
  return entries;
}

async function codeOf(libraries: readonly string[]): Promise<unknown> {
  return checkConfig({ libraries: [...libraries] }, { directory: folder }).then(
    () => 'taken',
    (error: unknown) => (error as { code: unknown }).code,
  );
}

describe('a library', () => {
  it('may bring a backend', async () => {
    const entries = await run(['./backend.mjs'], [target('stub', { label: 'a' })]);
    expect(entries.find(({ message }) => message === 'create target')?.fields.config).toEqual({
      label: 'a',
      opens_after_ms: 0,
      fails: 'never',
    });
  });

  it('may bring a backend with further names', async () => {
    await run(['./backend.mjs'], [target('placeholder'), target('dummy')]);
  });

  it('may bring a provider type', async () => {
    const entries = await run(['./provider.mjs'], [{ type: 'recorder', provider_id: 7 }]);
    const steps = entries.filter(({ component }) => component === 'recorder:7').map(({ message }) => message);
    expect(steps.filter((step) => /^(create|start|stop)$/.test(step))).toEqual(['create', 'start', 'stop']);
  });

  it('may bring several things in an array', async () => {
    const needs = { dependencies: { store: 's' } };
    await run(
      ['./array.mjs'],
      [
        { ...target('memory'), name: 's' },
        { type: 'dependant', ...needs },
        { ...target('layered'), ...needs },
      ],
    );
  });

  it('may bring what it has in a ContainerModule of inversify', async () => {
    await run(['./container-module.mjs'], [{ type: 'bound' }, target('bound'), target('tied')]);
  });

  it('may make in its ContainerModule what takes a while', async () => {
    await run(['./module-makes-later.mjs'], [target('made_late')]);
  });

  it.each(['module-throws', 'module-throws-later', 'old-module'])(
    'that fails is named, with its cause, and keeps out nothing but what needs it: %s',
    async (name) => {
      const library = `./${name}.mjs`;
      const error = (await checkConfig({ libraries: [library] }, { directory: folder }).catch(
        (thrown: unknown) => thrown,
      )) as BedrockError;
      expect(error.code).toBe('LIBRARY_LOAD_FAILED');
      expect(error.message).toContain(`${name}.mjs`);
      expect(error.message).toMatch(name === 'old-module' ? /inversify 6.* 7 and 8/ : /no licence file/);

      const providers = [
        target('memory'),
        target('stub'),
        { ...target('missing'), name: 'missed', optional: true },
      ];
      const { logger, entries } = recordingLogger();
      const config = { libraries: [library, './backend.mjs'], providers } as BedrockConfig;
      const daemon = await bootstrap(config, { listen: false, logger, directory: folder });
      expect(daemon.providers.map(({ state }) => state)).toEqual(['running', 'running', 'failed']);
      await daemon.close();
      expect(entries.some(({ level, message }) => level === 'warning' && message.includes(name))).toBe(true);
    },
  );

  it('may be CommonJS', async () => {
    await run(['./common.cjs'], [{ type: 'common' }]);
  });

  it('may be CommonJS that was compiled from an ES module', async () => {
    await run(['./common-default.cjs'], [{ type: 'common_default' }]);
  });

  it('may be named by its absolute path', async () => {
    await run([path.join(folder, 'backend.mjs')], [target('stub')], '/');
  });

  it('may be one of several, whose backends and provider types may have one name', async () => {
    await run(
      ['./container-module.mjs', './backend.mjs'],
      [{ type: 'bound' }, target('bound'), target('stub')],
    );
  });

  it('can be loaded by two daemons of one process', async () => {
    await Promise.all([
      run(['./container-module.mjs'], [{ type: 'bound' }]),
      run(['./container-module.mjs'], [{ type: 'bound' }]),
    ]);
  });
});

describe('a package', () => {
  let home: string;
  beforeAll(async () => {
    home = await realpath(await mkdtemp(path.join(tmpdir(), 'bedrock-packages-')));
    const create = 'async () => ({ targets: [], start: async () => undefined, stop: async () => undefined })';
    const install = async (name: string, type: string): Promise<void> => {
      const place = path.join(home, 'node_modules', name);
      await mkdir(path.join(place, 'lib'), { recursive: true });
      const manifest = {
        name,
        version: '1.0.0',
        type: 'module',
        exports: { '.': './lib/main.js', './more': './lib/more.js' },
      };
      await writeFile(path.join(place, 'package.json'), JSON.stringify(manifest));
      for (const file of ['main', 'more']) {
        await writeFile(
          path.join(place, `lib/${file}.js`),
          `export default { kind: 'provider', apiVersion: 1, type: '${type}_${file}', schema: {}, create: ${create} };`,
        );
      }
    };
    await install('bedrock-test-plain', 'plain');
    await install('@bedrock-test/scoped', 'scoped');
    await mkdir(path.join(home, 'config'));
  });
  afterAll(() => rm(home, { recursive: true }));

  it('is found from the folder of the configuration upwards', async () => {
    const directory = path.join(home, 'config');
    await run(['bedrock-test-plain'], [{ type: 'plain_main' }], directory);
  });

  it('may have a scope, and more than one entry', async () => {
    await run(
      ['@bedrock-test/scoped', '@bedrock-test/scoped/more'],
      [{ type: 'scoped_main' }, { type: 'scoped_more' }],
      home,
    );
  });

  it('is refused where it does not export what is asked for', async () => {
    const refused = checkConfig({ libraries: ['bedrock-test-plain/lib/main'] }, { directory: home });
    await expect(refused).rejects.toMatchObject({ code: 'LIBRARY_LOAD_FAILED' });
  });
});

describe('a library that does not load', () => {
  let home: string;
  beforeAll(async () => {
    home = await realpath(await mkdtemp(path.join(tmpdir(), 'bedrock-broken-')));
    await writeFile(path.join(home, 'broken.mjs'), "throw new Error('the licence has expired');");
    await writeFile(path.join(home, 'typed.ts'), 'const type: string = "typed";\nexport default { type };');
    await mkdir(path.join(home, 'node_modules/typed'), { recursive: true });
    const manifest = { name: 'typed', version: '1.0.0', type: 'module', exports: './index.ts' };
    await writeFile(path.join(home, 'node_modules/typed/package.json'), JSON.stringify(manifest));
    await writeFile(path.join(home, 'node_modules/typed/index.ts'), 'export default {};');
  });
  afterAll(() => rm(home, { recursive: true }));

  const start = async (providers: readonly object[], libraries = ['./broken.mjs']): Promise<LogEntry[]> => {
    const { logger, entries } = recordingLogger();
    const config = { libraries, providers } as BedrockConfig;
    const daemon = await bootstrap(config, { listen: false, logger, directory: home });
    entries.push({ states: daemon.providers.map(({ state }) => state) } as unknown as LogEntry);
    await daemon.close();
    return entries;
  };
  const optional = { optional: true };

  it.each<[string, object]>([
    ['a provider type', { type: 'acme', ...optional }],
    ['a backend', { ...target('acme'), ...optional }],
  ])('leaves out an optional provider that misses %s of it, and says so', async (_what, provider) => {
    const entries = await start([target('memory'), provider]);
    expect(entries).toContainEqual({ states: ['running', 'failed'] });
    const said = entries.filter(({ level }) => level === 'warning' || level === 'error');
    expect(said.map(({ level }) => level)).toEqual(['warning', 'error']);
    expect(said[0]?.message).toContain(path.join(home, 'broken.mjs'));
    expect(said[0]?.message).toContain('the licence has expired');
  });

  it.each<[string, object[], string[]]>([
    ['a provider that is not optional misses it too', [{ type: 'acme' }, { type: 'acme', ...optional }], []],
    ['no provider misses it', [{ ...target('memory'), ...optional }], []],
    ['every library did load', [{ type: 'acme', ...optional }], ['none']],
  ])('ends the start if %s', async (_title, providers, libraries) => {
    const config = { libraries: libraries.length > 0 ? [] : ['./broken.mjs'], providers } as BedrockConfig;
    const starting = bootstrap(config, { listen: false, logLevel: 'off', directory: home });
    const code = libraries.length > 0 ? 'CONFIG_INVALID' : expect.stringMatching(/LIBRARY|CONFIG/);
    await expect(starting).rejects.toMatchObject({ code });
  });

  it('because it is TypeScript below node_modules is refused by every Node', async () => {
    const checking = checkConfig({ libraries: ['typed'] }, { directory: home });
    const message = expect.stringContaining(path.join(home, 'node_modules/typed/index.ts'));
    await expect(checking).rejects.toMatchObject({ code: 'LIBRARY_LOAD_FAILED', message });
  });

  it('because Node does not take TypeScript is refused with both cures', async () => {
    const { features } = process;
    Object.defineProperty(process, 'features', { value: { ...features, typescript: false } });
    const checking = checkConfig({ libraries: ['./typed.ts'] }, { directory: home });
    const message = expect.stringMatching(/typed\.ts.*compile.*22\.18/);
    await expect(checking).rejects.toMatchObject({ code: 'LIBRARY_LOAD_FAILED', message });
    Object.defineProperty(process, 'features', { value: features });
  });
});

describe('a library with a copy of this package of its own', () => {
  it('is understood: its errors by their codes, its IDs as IDs', async () => {
    const config = { libraries: ['./public-package.mjs'], providers: [target('buffers')] } as BedrockConfig;
    const daemon = await bootstrap(config, { listen: false, logLevel: 'off', directory: folder });
    const made = daemon.target('warabi_1');
    expect(made).not.toBeInstanceOf(BaseTarget);
    const id = RegionId.parse(String(await made.createAndWrite(Buffer.from('both copies'))));
    await expect(made.read(id, 5, 6)).resolves.toEqual(Buffer.from('copies'));
    const failure = await made.create(4096).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BedrockError);
    expect(failure).toMatchObject({ code: 'OUT_OF_SPACE' });
    expect(failure).not.toBeInstanceOf(UsageError);
    await daemon.close();
  });
});

describe('libraries that clash', () => {
  it.each<[string, string[]]>([
    ['two that bring one type', ['./backend.mjs', './same-type.mjs']],
    ['two that have one alias', ['./backend.mjs', './alias-clash.mjs']],
    ['one whose type is an alias of the other', ['./backend.mjs', './alias-of-type.mjs']],
    ['one whose alias is the type of the other', ['./alias-of-type.mjs', './backend.mjs']],
    ['one that is named twice', ['./backend.mjs', './backend.mjs']],
  ])('are refused: %s', async (_title, libraries) => {
    await expect(codeOf(libraries)).resolves.toBe('LIBRARY_LOAD_FAILED');
    await expect(codeOf(libraries.slice(0, 1))).resolves.toBe('taken');
  });
});
