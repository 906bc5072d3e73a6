/**
 * Copies of the persistent template that are wrong in one subtle way, as an author may get it
 * wrong: the suite finds each, given what the template's own test gives it.
 */
import { cpSync, readdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createLogger } from '../../core/base/logging.js';
import { describeTarget, type TargetFactory } from '../../core/conformance/index.js';
import type { BackendContext, Naming, RegionId, Target } from '../../core/index.js';
import {
  SAMPLE_CAPABILITIES,
  type SampleRegion,
  SampleTarget,
} from '../../templates/backend-persistent/src/sample-target.js';
import { runTests } from './collecting-runner.js';
import { expectInForm } from './message-form.js';

const context = {
  logger: createLogger({ level: 'off', format: 'text' }),
  clock: { now: () => Date.now() },
  baseDirectory: '/',
} as unknown as BackendContext;

class TakesTheLowWordOfOffsets extends SampleTarget {
  protected override readBytes(region: SampleRegion, offset: number, into: Uint8Array): Promise<void> {
    return super.readBytes(region, offset % 2 ** 32, into);
  }
  protected override writeBytes(region: SampleRegion, offset: number, bytes: Uint8Array): Promise<void> {
    return super.writeBytes(region, offset % 2 ** 32, bytes);
  }
}

class ForgetsToZero extends SampleTarget {
  protected override async makeRegion(id: RegionId, size: number, createdAt: number): Promise<SampleRegion> {
    const region = await super.makeRegion(id, size, createdAt);
    await super.writeBytes(region, 0, Buffer.from('old').subarray(0, size));
    return region;
  }
}

class ReusesIds extends SampleTarget {
  protected override async storeSlots(): Promise<void> {
    await super.storeSlots(0);
  }
}

/** A buffer of one write, which every call but close empties. */
class LosesTheLastWriteAtClose extends SampleTarget {
  #last: (() => Promise<void>) | undefined;

  protected override async writeBytes(
    region: SampleRegion,
    offset: number,
    bytes: Uint8Array,
  ): Promise<void> {
    await this.#flush();
    const copy = Uint8Array.from(bytes);
    this.#last = () => super.writeBytes(region, offset, copy);
  }
  protected override async readBytes(region: SampleRegion, offset: number, into: Uint8Array): Promise<void> {
    await this.#flush();
    await super.readBytes(region, offset, into);
  }
  protected override async publish(region: SampleRegion, naming?: Naming<SampleRegion>): Promise<void> {
    await this.#flush();
    await super.publish(region, naming);
  }
  protected override async persistRanges(region: SampleRegion): Promise<void> {
    await this.#flush();
    await super.persistRanges(region);
  }
  async #flush(): Promise<void> {
    const last = this.#last;
    this.#last = undefined;
    await last?.();
  }
}

class ResolvesBeforeDurable extends SampleTarget {
  protected override persistRanges(region: SampleRegion): Promise<void> {
    super.persistRanges(region).catch(() => undefined);
    return Promise.resolve();
  }
}

class NeverAsksTheKernel extends SampleTarget {
  protected override persistRanges(): Promise<void> {
    return Promise.resolve();
  }
}

/** Until it is closed. */
class HoldsDurableWritesBack extends SampleTarget {
  readonly #held: (() => Promise<void>)[] = [];

  protected override async writeDurably(
    region: SampleRegion,
    offset: number,
    bytes: Uint8Array,
  ): Promise<void> {
    const copy = Uint8Array.from(bytes);
    this.#held.push(() => super.writeBytes(region, offset, copy));
    await Promise.resolve();
  }
  protected override async closeStorage(): Promise<void> {
    for (const write of this.#held) await write();
    await super.closeStorage();
  }
}

const WRONG = [
  [TakesTheLowWordOfOffsets, 'large regions: does not take offsets modulo 2^31 or 2^32'],
  [ForgetsToZero, 'create: makes regions of exactly the size asked for, all zero'],
  [ReusesIds, 'crashes: gives no ID again after it was killed, not even of what was erased last'],
  [
    LosesTheLastWriteAtClose,
    'persistence: recovers every kind of write, persisted or not, after a close by a second object',
  ],
  [ResolvesBeforeDurable, 'durability: resolves write with persist only when the kernel has stored it'],
  [NeverAsksTheKernel, 'durability: resolves persist only when the kernel has stored it'],
  [
    HoldsDurableWritesBack,
    'crashes: has resolved no durable write too early: each is there if it is killed at once',
  ],
] as const;

describe('a copy of the persistent template is found out if it', () => {
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'bedrock-copies-'));
  });
  afterAll(() => rm(home, { recursive: true }));

  function factoryOf(Class: typeof SampleTarget): TargetFactory {
    const made = new Map<Target, { folder: string; max_bytes: number }>();
    const make = (folder: string, max_bytes: number): Target => {
      const target = new Class({ path: folder, max_bytes }, context);
      made.set(target, { folder, max_bytes });
      return target;
    };
    const fresh = (): Promise<string> => mkdtemp(path.join(home, 'data-'));
    const madeWith = (target: Target): { folder: string; max_bytes: number } =>
      made.get(target) as { folder: string; max_bytes: number };
    return {
      create: async () => make(await fresh(), 2 ** 40),
      createBounded: async (max_bytes) => make(await fresh(), max_bytes),
      reopen: (target) => make(madeWith(target).folder, madeWith(target).max_bytes),
      crash: async (target) => {
        const copy = await fresh();
        copyNow(madeWith(target).folder, copy);
        return make(copy, madeWith(target).max_bytes);
      },
      dispose: (target) => rm(madeWith(target).folder, { recursive: true, force: true }),
      syncsByNode: true,
    };
  }

  it.each(WRONG.map(([Class, title]) => [inWords(Class.name), Class, title] as const))(
    '%s',
    async (_name, Class, title) => {
      const { failed } = await runTests(
        (runner) => describeTarget(runner, factoryOf(Class), SAMPLE_CAPABILITIES),
        { only: title },
      );
      expect([...failed.keys()]).toContain(title);
      expectInForm(title, failed.get(title));
    },
  );

  it.each(['durability', 'crashes'])(
    'is wrong, and not for the group of %s if it is right',
    async (group) => {
      const { passed, failed } = await runTests(
        (runner) => describeTarget(runner, factoryOf(SampleTarget), SAMPLE_CAPABILITIES),
        { only: `${group}: ` },
      );
      expect(Object.fromEntries(failed)).toEqual({});
      expect(passed.length).toBeGreaterThan(5);
    },
  );
});

/** As the template's own test copies a folder: as it is at one moment. */
function copyNow(folder: string, to: string): void {
  for (;;) {
    const before = filesIn(folder);
    try {
      cpSync(folder, to, { recursive: true });
      if (filesIn(folder) === before) return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    rmSync(to, { recursive: true });
  }
}

function filesIn(folder: string): string {
  return readdirSync(folder, { recursive: true }).join('\n');
}

/** `ReusesIds` as `reuses ids`. */
function inWords(name: string): string {
  return name.replace(/\B(?=[A-Z])/g, ' ').toLowerCase();
}
