/** Queries of a daemon: the thread, the limits, both doors and the client. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from '../../core/client/connect.js';
import { bootstrap } from '../../core/daemon/bootstrap.js';
import type { BedrockConfig, BedrockError, Daemon } from '../../core/index.js';
import { Queries, type QuerySettings } from '../../core/query/queries.js';

type QueryConfig = NonNullable<NonNullable<BedrockConfig['bedrock']>['query']>;

const SETTINGS: QuerySettings = {
  // Far more than the slowest machine takes.
  max_time_ms: 60_000,
  max_memory_bytes: 2 ** 24,
  max_depth: 500,
  max_answer_bytes: 10_000,
  max_expression_bytes: 1000,
  max_queued: 2,
};

/** A loop that ends only with its thread. */
const FOREVER = '($f := function($x){$f($x)}; $f(1))';

function failure(work: Promise<unknown>): Promise<Pick<BedrockError, 'code' | 'details'>> {
  return work.then(
    (value) => {
      throw new Error(`it gave ${JSON.stringify(value)}`);
    },
    (error: unknown) => {
      const { code, details } = error as BedrockError;
      return { code, details };
    },
  );
}

describe('queries', () => {
  const all: Queries[] = [];
  function queries(
    settings: Partial<QuerySettings> = {},
    document: () => unknown = () => ({ n: 7 }),
  ): Queries {
    const made = new Queries({ ...SETTINGS, ...settings }, document);
    all.push(made);
    return made;
  }
  afterAll(async () => {
    await Promise.all(all.map((one) => one.close()));
  });

  it('get their answers in JSON, from the document of that moment, one after another', async () => {
    let n = 0;
    const made = queries({}, () => ({ n: ++n }));
    await expect(Promise.all([made.run('n'), made.run('n * 10'), made.run('[n]')])).resolves.toEqual([
      '1',
      '20',
      '[3]',
    ]);
  });

  it('with a mistake get INVALID_ARGUMENT with its position, and the next one is answered', async () => {
    const made = queries();
    await expect(failure(made.run('n +\n  )'))).resolves.toEqual({
      code: 'INVALID_ARGUMENT',
      details: { position: 7, line: 2, column: 3 },
    });
    await expect(made.run('n')).resolves.toBe('7');
  });

  it('that exceed a limit get QUERY_TOO_COSTLY with its setting, and the next one is answered', async () => {
    const made = queries({ max_time_ms: 200, max_memory_bytes: 2 ** 23 });
    for (const [expression, setting] of [
      [FOREVER, 'max_time_ms'],
      // A single step of the interpreter, in which it does not look at the clock.
      ['$length($pad("", 2000000000))', 'max_time_ms'],
      [`"${'x'.repeat(2000)}"`, 'max_expression_bytes'],
    ] as const)
      await expect(failure(made.run(expression))).resolves.toEqual({
        code: 'QUERY_TOO_COSTLY',
        details: { setting: `bedrock.query.${setting}`, limit: { ...SETTINGS, max_time_ms: 200 }[setting] },
      });
    const calm = queries();
    await expect(failure(calm.run('($f := function($x){1 + $f($x)}; $f(1))'))).resolves.toMatchObject({
      code: 'QUERY_TOO_COSTLY',
      details: { setting: 'bedrock.query.max_depth' },
    });
    await expect(calm.run('n')).resolves.toBe('7');
  });

  it('beyond the number that may wait get OVERLOADED', async () => {
    const made = queries({ max_time_ms: 500 });
    const running = [FOREVER, 'n', 'n'].map((one) =>
      made.run(one).catch((error: unknown) => (error as BedrockError).code),
    );
    await expect(failure(made.run('n'))).resolves.toMatchObject({ code: 'OVERLOADED' });
    await expect(Promise.all(running)).resolves.toContain('QUERY_TOO_COSTLY');
  });

  it('without an answer at the end get NOT_READY', async () => {
    const made = queries();
    const running = [FOREVER, 'n'].map((one) => failure(made.run(one)));
    await made.close();
    for (const one of await Promise.all(running)) expect(one.code).toBe('NOT_READY');
    await expect(failure(made.run('n'))).resolves.toMatchObject({ code: 'NOT_READY' });
  });
});

describe.each(['http', 'resp'] as const)('a query over %s', (protocol) => {
  let daemon: Daemon;
  let url: string;
  beforeAll(async () => {
    const query: QueryConfig = { max_time_ms: 60_000, max_answer_bytes: 2 ** 20 };
    daemon = await bootstrap(
      {
        bedrock: { query, resp: { address: '127.0.0.1:0' } },
        providers: [
          {
            name: 'store',
            type: 'warabi',
            provider_id: 3,
            config: { target: { type: 'memory', config: {} } },
          },
        ],
      },
      { address: 'http://127.0.0.1:0', logLevel: 'off' },
    );
    url =
      protocol === 'http' ? (daemon.address ?? '') : `resp://${daemon.config.bedrock?.resp?.address ?? ''}`;
  });
  afterAll(() => daemon.close());

  it('gives what the expression finds, or the configuration without one', async () => {
    const service = await connect(url);
    await expect(service.query('providers.name')).resolves.toBe('store');
    await expect(service.query('[providers.{name: provider_id}]')).resolves.toEqual([{ store: 3 }]);
    await expect(service.query('nothing')).resolves.toBeNull();
    await expect(service.query('$')).resolves.toEqual(daemon.config);
    await expect(service.query()).resolves.toEqual(daemon.config);
    await expect(daemon.query('providers.name')).resolves.toBe('store');
    await expect(daemon.query()).resolves.toEqual(daemon.config);
    await service.close();
  });

  it('tells what is wrong, and where', async () => {
    const service = await connect(url);
    await expect(failure(service.query('providers.['))).resolves.toEqual({
      code: 'INVALID_ARGUMENT',
      details: { position: 11, line: 1, column: 11 },
    });
    await expect(failure(service.query('x'.repeat(100_000)))).resolves.toEqual({
      code: 'QUERY_TOO_COSTLY',
      details: { setting: 'bedrock.query.max_expression_bytes', limit: 65_536 },
    });
    await service.close();
  });
});
