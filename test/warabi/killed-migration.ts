/**
 * A migration between two daemons that run as processes, by way of a proxy that is one too. One of them is killed at a certain step: a side,
 * or the proxy, whose connections the kernel then cuts. Programs write to the source
 * meanwhile. Afterwards one more migration must end it: all that was acknowledged is at the destination, once, and nowhere else.
 */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, type Service } from '../../core/index.js';
import { bedrock, type BedrockProcess, killAll } from '../fixtures/bedrock-process.js';
import { CuttingProcess } from '../fixtures/cutting-process.js';
import type { FailingSystem, Failures } from '../fixtures/failing-system.js';
import { bytesOf, contentsOf, fill } from './migration-daemons.js';

export type Side = 'source' | 'destination';

/** When a side or the proxy is killed: instead of the n-th call of the system, or with a request or its answer on its way. */
export type Moment =
  | { readonly side: Side; readonly call: string; readonly nth: number }
  | {
      readonly side: Side | 'proxy';
      readonly step: string;
      readonly at: 'request' | 'answer';
      /** Whether the other side still gets it. */
      readonly isPassed: boolean;
    };

const TARGETS = 2;
const WRITERS = 2;
/** How a writer finds out that it is to stop. */
const ENDS: ReadonlySet<unknown> = new Set([
  'PROVIDER_MOVED',
  'MIGRATION_UNFINISHED',
  'UNREACHABLE',
  'OUTCOME_UNKNOWN',
  'NOT_READY',
]);

function codeIn(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

/** What a writer knows of one of its names: the contents are one of these. */
type Book = Map<string, Buffer[]>;

export class KilledMigrations {
  #rounds = 0;

  private constructor(
    private readonly home: string,
    private readonly system: FailingSystem,
    /** What every round begins with, for each target. */
    private readonly before: readonly Record<string, object>[],
  ) {}

  /** Makes the pools that every round begins with. */
  static async open(system: FailingSystem): Promise<KilledMigrations> {
    const home = await mkdtemp(path.join(tmpdir(), 'bedrock-killed-'));
    const before: Record<string, object>[] = [];
    for (const side of ['source', 'destination'] as const) {
      await mkdir(path.join(home, side));
      const targets = Array.from({ length: TARGETS }, (_, index) => ({
        type: 'file',
        config: { path: `pool${index}`, create_if_missing_with_size: 2 ** 23 },
      }));
      await writeFile(
        path.join(home, side, 'bedrock.json'),
        JSON.stringify({
          margo: { mercury: { address: 'http://127.0.0.1:0' } },
          providers: [{ name: 'store', type: 'warabi', config: { targets } }],
        }),
      );
      const daemon = bedrock(['-c', path.join(home, side, 'bedrock.json')]);
      const service = await connect(await daemon.address());
      if (side === 'source')
        for (let index = 0; index < TARGETS; index++) {
          await fill(service.target('store', index), 150_000);
          before.push(await contentsOf(service.target('store', index)));
        }
      await service.close();
      daemon.signal('SIGTERM');
      await daemon.exit;
    }
    return new KilledMigrations(home, system, before);
  }

  async close(): Promise<void> {
    await killAll();
    await rm(this.home, { recursive: true, force: true });
  }

  /** @returns whether the side was killed, and not the migration over before @throws what is lost, doubled, or does not end */
  async round(moment: Moment): Promise<boolean> {
    const folder = path.join(this.home, String(this.#rounds++));
    for (const side of ['source', 'destination'])
      await cp(path.join(this.home, side), path.join(folder, side), { recursive: true });
    const round = new Round(folder, this.system, this.before, moment);
    try {
      return await round.run();
    } catch (error) {
      const state = await round.states();
      throw new Error(`killed at ${JSON.stringify(moment)}, with ${state}: ${String(error)}`, {
        cause: error,
      });
    } finally {
      await round.end();
      await rm(folder, { recursive: true, force: true });
    }
  }
}

class Round {
  readonly #books: Book[] = Array.from({ length: WRITERS }, () => new Map());
  readonly #running = new Map<Side, BedrockProcess>();
  readonly #services = new Map<Side, Service>();
  #proxy!: CuttingProcess;
  /** Its end has been heard of, and it runs again unless `#restarted` is still to come. */
  #isKilled = false;
  #restarted: Promise<void> = Promise.resolve();
  #writes = 0;

  constructor(
    private readonly folder: string,
    private readonly system: FailingSystem,
    private readonly before: readonly Record<string, object>[],
    private readonly moment: Moment,
  ) {}

  async run(): Promise<boolean> {
    const { side } = this.moment;
    this.#proxy = await CuttingProcess.open();
    await this.#start('destination', side === 'destination');
    await this.#start('source', side === 'source');
    await this.#watch();
    const isKilledBefore = this.#isKilled;
    const error = await this.#migrateWhileWritten();
    const isSent = await this.#proxy.isMet();
    if (error !== undefined && (isKilledBefore || !(isSent || (await this.#isVictimDead())))) throw error;
    if (side === 'proxy') await this.#startProxy();
    else if (isSent || error !== undefined) await this.#restarted;
    if (this.#isKilled) {
      await this.#checkServed();
      const again = await this.#migrateWhileWritten();
      if (again !== undefined) throw again;
    }
    await this.#check();
    return this.#isKilled;
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all([...this.#services.values()].map((service) => service.close()));
    for (const daemon of this.#running.values()) daemon.signal('SIGKILL');
    await this.#restarted.catch(() => undefined);
    await Promise.all([...this.#running.values()].map(({ exit }) => exit));
    await this.#proxy.kill();
  }

  /** Starts a side, again without harm if it was killed at once. */
  async #start(side: Side, isVictim: boolean): Promise<void> {
    const { moment } = this;
    const kill: Failures['kill'] =
      isVictim && 'call' in moment
        ? { call: moment.call, nth: moment.nth, within: path.join(this.folder, side, 'pool') }
        : undefined;
    const daemon = bedrock(['-c', path.join(this.folder, side, 'bedrock.json')], {
      env: kill === undefined ? {} : this.system.env({ kill }),
    });
    this.#running.set(side, daemon);
    if (isVictim)
      this.#restarted = daemon.exit.then(async ({ signal }) => {
        // The end of the round kills it as well.
        if (this.#isOver) return;
        if (signal !== 'SIGKILL') throw new Error(`the ${side} ended by itself: ${daemon.stderr}`);
        this.#isKilled = true;
        await this.#start(side, false);
      });
    let address: string;
    try {
      address = await daemon.address();
    } catch (error) {
      if (!isVictim) throw error;
      return this.#restarted;
    }
    if (side === 'destination') await this.#proxy.lead(Number(new URL(address).port));
    await this.#services.get(side)?.close();
    this.#services.set(side, await connect(address));
  }

  #isOver = false;

  /** Has the victim killed at the moment, if the proxy is who sees it. */
  async #watch(): Promise<void> {
    const { moment } = this;
    if ('call' in moment) return;
    const { side, step, at, isPassed } = moment;
    const pid = side === 'proxy' ? undefined : this.#running.get(side)?.child.pid;
    await this.#proxy.watch({ mark: `/migration/${step}`, at, isPassed, ...(pid !== undefined && { pid }) });
  }

  async #startProxy(): Promise<void> {
    if (!(await this.#proxy.isMet())) return;
    this.#isKilled = true;
    await this.#proxy.kill();
    await this.#proxy.restart();
  }

  #service(side: Side): Service {
    const service = this.#services.get(side);
    if (service === undefined) throw new Error(`the ${side} does not run`);
    return service;
  }

  /** @returns why it broke off */
  async #migrateWhileWritten(): Promise<Error | undefined> {
    const source = this.#service('source');
    const stop = { isAsked: false };
    const writing = this.#books.map((book, nth) => this.#write(source, nth, book, stop));
    try {
      await source.provider('store').migrate({
        address: `http://127.0.0.1:${this.#proxy.ownPort}`,
        provider: 'store',
        options: { transfer_size: 65536 },
      });
      return undefined;
    } catch (error) {
      if (codeIn(error) === undefined) throw error;
      return error as Error;
    } finally {
      stop.isAsked = true;
      await Promise.all(writing);
    }
  }

  async #isVictimDead(): Promise<boolean> {
    const { side } = this.moment;
    if (this.#isKilled) return true;
    if (side === 'proxy') return false;
    try {
      const service = await connect(this.#service(side).url, { timeoutMs: 10_000 });
      await service.close();
      return false;
    } catch {
      return true;
    }
  }

  /** Replaces regions of its own by name, until the source serves it no more. */
  async #write(source: Service, nth: number, book: Book, stop: { isAsked: boolean }): Promise<void> {
    const target = source.target('store', nth % TARGETS);
    for (let at = 0; !stop.isAsked; at++) {
      const name = `writer ${nth}, name ${at % 4}`;
      const contents = bytesOf(100 + (at % 7), this.#writes++);
      const known = book.get(name);
      book.set(name, [...(known ?? []), contents]);
      try {
        await target.put(name, contents);
        book.set(name, [contents]);
      } catch (error) {
        if (!ENDS.has(codeIn(error))) throw error;
        // Nothing was there, or one of these.
        if (known === undefined) book.set(name, [NOTHING, contents]);
        return;
      }
    }
  }

  /** No two sides serve the regions. */
  async #checkServed(): Promise<void> {
    for (let index = 0; index < TARGETS; index++) {
      const serving: Side[] = [];
      for (const side of ['source', 'destination'] as const) {
        const regions = await this.#service(side)
          .target('store', index)
          .list({ limit: 1 })
          .then(
            ({ regions }) => regions.length,
            (error: unknown) => {
              if (!ENDS.has(codeIn(error))) throw error;
              return 0;
            },
          );
        if (regions > 0) serving.push(side);
      }
      if (serving.length > 1) throw new Error(`both sides serve target ${index}`);
    }
  }

  async #check(): Promise<void> {
    this.#isOver = true;
    for (let index = 0; index < TARGETS; index++) {
      const code = await this.#service('source')
        .target('store', index)
        .list()
        .then(() => 'served', codeIn);
      if (code !== 'PROVIDER_MOVED') throw new Error(`target ${index} of the source: ${String(code)}`);
      const found = new Map(
        Object.entries(await contentsOf(this.#service('destination').target('store', index))),
      );
      for (const [id, region] of Object.entries(this.before[index] ?? {})) {
        if (JSON.stringify(found.get(id)) !== JSON.stringify(region))
          throw new Error(`region ${id} of target ${index} is not as it was`);
        found.delete(id);
      }
      this.#checkWritten(index, found);
    }
  }

  #checkWritten(index: number, found: ReadonlyMap<string, object>): void {
    const written = new Map<string, Buffer>();
    for (const { name, bytes } of found.values() as Iterable<{ name: string | null; bytes: string }>) {
      if (name === null || written.has(name)) throw new Error(`there is one region more, ${String(name)}`);
      written.set(name, Buffer.from(bytes, 'base64'));
    }
    for (const [nth, book] of this.#books.entries()) {
      if (nth % TARGETS !== index) continue;
      for (const [name, contents] of book) {
        const there = written.get(name) ?? NOTHING;
        if (!contents.some((one) => one.equals(there))) throw new Error(`${name} was acknowledged otherwise`);
        written.delete(name);
      }
    }
    const [other] = written.keys();
    if (other !== undefined) throw new Error(`nobody has written ${other}`);
  }

  /** What the sides remember, for a message. */
  async states(): Promise<string> {
    const told: string[] = [];
    for (const side of ['source', 'destination'])
      for (let index = 0; index < TARGETS; index++) {
        const file = path.join(this.folder, side, `pool${index}.migration.json`);
        const text = await readFile(file, 'utf8').catch(() => '{}');
        told.push(`${side} ${index} ${(JSON.parse(text) as { role?: string }).role ?? 'no state'}`);
      }
    return told.join(', ');
  }
}

const NOTHING = Buffer.alloc(0);
