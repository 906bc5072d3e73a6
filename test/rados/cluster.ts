/** A Ceph cluster for a test, set up by ceph.sh: one monitor and three OSDs on loopback. */
import { randomUUID } from 'node:crypto';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { radosAddonPath } from '../../backends/rados/addon.js';
import type { RadosSettings } from '../../backends/rados/cluster.js';
import { RadosTarget } from '../../backends/rados/rados-target.js';
import { createLogger } from '../../core/base/logging.js';
import type { BackendContext } from '../../core/index.js';
import { hasCommand, needs } from '../fixtures/needs.js';

const SCRIPT = path.join(import.meta.dirname, 'ceph.sh');
const run = promisify(execFile);

/** Tests of a cluster: left out, by name, where there is none to be had. */
export const ceph = needs(
  'ceph-mon, ceph-osd and librados (Debian: apt-get install ceph-mon ceph-osd ceph-common librados-dev)',
  ['ceph-mon', 'ceph-osd', 'ceph', 'rados'].every(hasCommand) && existsSync(radosAddonPath()),
);

/** Metrics that nobody reads. */
const NO_METRICS = {
  gauge: () => ({ set: () => undefined }),
  counter: () => ({ inc: () => undefined }),
  histogram: () => ({ observe: () => undefined }),
} as unknown as BackendContext['metrics'];

export const QUIET: Pick<BackendContext, 'logger' | 'clock' | 'metrics'> = {
  logger: createLogger({ level: 'off', format: 'text' }),
  clock: { now: () => Date.now() },
  metrics: NO_METRICS,
};

export class TestCluster {
  private constructor(private readonly folder: string) {}

  static async start(variables: Record<string, string> = {}): Promise<TestCluster> {
    const folder = path.join(tmpdir(), `bedrock-ceph-${randomUUID().slice(0, 8)}`);
    // It ends with this process, however that ends.
    await run(SCRIPT, ['start', folder, String(process.pid)], {
      env: { ...process.env, ...variables },
      timeout: 180_000,
    });
    return new TestCluster(folder);
  }

  get conf(): string {
    return path.join(this.folder, 'ceph.conf');
  }

  /** Settings of a target; a namespace of its own unless told. */
  settings(more: Partial<RadosSettings> = {}): RadosSettings {
    return {
      pool: 'regions',
      namespace: `test-${randomUUID()}`,
      conf: this.conf,
      client: 'client.regions',
      op_timeout_ms: 60_000,
      max_in_flight: 256,
      stripe_bytes: 4_194_304,
      ...more,
    };
  }

  target(more: Partial<RadosSettings> = {}, leaseMs?: number): RadosTarget {
    return new RadosTarget(this.settings(more), QUIET, { leaseMs });
  }

  /** `kill -9` of a daemon, such as `osd.1`. */
  async kill(daemon: string): Promise<void> {
    await run(SCRIPT, ['kill', this.folder, daemon]);
  }

  async revive(daemon: string): Promise<void> {
    await run(SCRIPT, ['revive', this.folder, daemon]);
  }

  /** What a command of the tool `ceph` prints. */
  async command(...words: string[]): Promise<string> {
    return (await run('ceph', ['-c', this.conf, '--connect-timeout', '30', ...words])).stdout;
  }

  async stop(): Promise<void> {
    await run(SCRIPT, ['stop', this.folder], { timeout: 60_000 });
  }
}
