/**
 * Whatever a library throws, each door answers once and well, the log gets one line, and the daemon goes on. The long test tries more.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { request } from 'undici';
import { reportFailure } from '../../core/cli/failure.js';
import { bootstrap, checkConfig, messageOf } from '../../core/index.js';
import { clearTrap, setTrap } from '../fixtures/throwing-library.js';
import { isThorough } from '../fixtures/thoroughness.js';
import { thrownValues } from '../fixtures/thrown-values.js';
import {
  SERVICE_ASKS,
  THROWING_LIBRARY,
  ThrowingDaemon,
  targetAsks,
  writtenLog,
  type Ask,
} from './thrown-values.js';

/** How many of the cases run in this test. */
const share = (cases: number): number => (isThorough ? cases : Math.ceil(cases / 2));

afterEach(clearTrap);

describe.each(['text', 'json'] as const)('what a library throws, with a log in %s', (format) => {
  let daemon: ThrowingDaemon;
  beforeAll(async () => {
    daemon = await ThrowingDaemon.start(format);
  });
  afterAll(() => daemon.close());

  const asks = (): fc.Arbitrary<Ask> => fc.constantFrom(...targetAsks(daemon), ...SERVICE_ASKS);

  it('is one answer over HTTP, over the Redis protocol and by the client, of one code', async () => {
    const property = fc.asyncProperty(asks(), thrownValues, fc.boolean(), async (ask, make, isLate) => {
      const codes: string[] = [];
      if (ask.path !== undefined) codes.push(await daemon.overHttp(ask, make(), isLate));
      if (ask.command !== undefined) {
        codes.push(await daemon.overResp(ask, make(), isLate, false));
        codes.push(await daemon.overResp(ask, make(), isLate, true));
      }
      // The client asks for more than one thing where it looks before it reads.
      if (ask.call !== undefined)
        for (const target of daemon.targets.slice(ask.isRespCall === true ? 1 : 0))
          codes.push(await daemon.byClient(ask, target, make(), isLate));
      expect(new Set(codes).size).toBe(1);
    });
    await fc.assert(property, { numRuns: share(60) });
  });

  it('breaks off a stream that is under way, with one line in the log', async () => {
    const property = fc.asyncProperty(thrownValues, async (make) => {
      const before = daemon.lines.length;
      setTrap('stream later', make());
      const answer = await request(`${daemon.daemon.address ?? ''}/v1/providers/service/stream`);
      await expect(answer.body.text()).rejects.toThrow();
      expect(daemon.lines.slice(before).length).toBeLessThanOrEqual(1);
    });
    await fc.assert(property, { numRuns: share(30) });
  });

  it('is answered where a provider gives it as its answer, whole or in part', async () => {
    const places = fc.constantFrom('body', 'status', 'headers', 'header', 'pieces');
    const property = fc.asyncProperty(places, thrownValues, async (place, make) => {
      setTrap('nothing', make());
      const answer = await request(`${daemon.daemon.address ?? ''}/v1/providers/service/${place}`);
      const text = await answer.body.text();
      if (answer.statusCode === 500) expect(JSON.parse(text)).toMatchObject({ code: 'INTERNAL' });
    });
    await fc.assert(property, { numRuns: share(40) });
  });

  it('may be thrown by getConfig, or stand in what it gives', async () => {
    const property = fc.asyncProperty(
      fc.constantFrom('getConfig', 'settings'),
      thrownValues,
      async (at, make) => {
        setTrap(at, make());
        const answer = await request(`${daemon.daemon.address ?? ''}/v1/config`);
        expect(await answer.body.json()).toHaveProperty('providers');
        expect(JSON.parse((await daemon.client.call('BEDROCK.CONFIG')) as string)).toHaveProperty(
          'providers',
        );
      },
    );
    await fc.assert(property, { numRuns: share(30) });
  });
});

describe('what a library throws while the daemon starts or stops', () => {
  const providers = [
    { name: 'store', type: 'warabi', config: { target: { type: 'throwing' } } },
    { name: 'service', type: 'throwing_service' },
  ];
  const places = ['backend validate', 'provider validate', 'backend create', 'open', 'create', 'start'];

  it('ends the start under a code of the table', async () => {
    const property = fc.asyncProperty(fc.constantFrom(...places), thrownValues, async (at, make) => {
      const { logger } = writtenLog('text');
      setTrap(at, make());
      const starting = bootstrap({ libraries: [THROWING_LIBRARY], providers }, { listen: false, logger });
      const error: unknown = await starting.then(
        () => 'it started',
        (thrown: unknown) => thrown,
      );
      clearTrap();
      const isCheck = at.endsWith('validate');
      expect((error as { code: unknown }).code).toBe(isCheck ? 'CONFIG_INVALID' : 'START_FAILED');
      expect(messageOf(error).length).toBeLessThan(2 ** 21);
    });
    await fc.assert(property, { numRuns: share(60) });
  });

  it('is one line in the log where a provider is optional, or does not stop', async () => {
    const property = fc.asyncProperty(fc.constantFrom('start', 'stop'), thrownValues, async (at, make) => {
      const { logger, lines } = writtenLog('json');
      const service = { name: 'service', type: 'throwing_service', optional: true };
      setTrap(at, make());
      const daemon = await bootstrap(
        { libraries: [THROWING_LIBRARY], providers: [service] },
        { listen: false, logger },
      );
      await daemon.close();
      expect(lines.length).toBe(1);
      expect(await daemon.closed).toBe(at === 'start');
    });
    await fc.assert(property, { numRuns: share(40) });
  });

  describe('from the top of its module, or as what it exports', () => {
    const THROWN = Symbol.for('bedrock-node.test.thrown');
    let home: string;
    beforeAll(async () => {
      home = await mkdtemp(path.join(tmpdir(), 'bedrock-thrown-'));
    });
    afterAll(() => rm(home, { recursive: true }));

    it('is LIBRARY_LOAD_FAILED', async () => {
      let count = 0;
      const thrown = "globalThis[Symbol.for('bedrock-node.test.thrown')]()";
      const bodies = fc.constantFrom(
        `throw ${thrown};`,
        `export default ${thrown};`,
        `export default [${thrown}];`,
      );
      const property = fc.asyncProperty(bodies, thrownValues, async (body, make) => {
        const file = path.join(home, `library-${++count}.mjs`);
        await writeFile(file, body);
        Object.assign(globalThis, { [THROWN]: make });
        const error: unknown = await checkConfig({ libraries: [file] }).then(
          () => ({ code: 'taken' }),
          (caught: unknown) => caught,
        );
        // An empty list brings nothing, and may.
        expect(['LIBRARY_LOAD_FAILED', 'taken']).toContain((error as { code: unknown }).code);
      });
      await fc.assert(property, { numRuns: share(60) });
      Reflect.deleteProperty(globalThis, THROWN);
    });
  });
});

it('what a command throws is one line on standard error, and an exit status', () => {
  const written: string[] = [];
  const spy = jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
  try {
    fc.assert(
      fc.property(thrownValues, (make) => {
        written.length = 0;
        expect([0, 1, 2]).toContain(reportFailure(make()));
        expect(written.join('')).toMatch(/^error [^\n]+\n$/);
      }),
    );
  } finally {
    spy.mockRestore();
  }
});
