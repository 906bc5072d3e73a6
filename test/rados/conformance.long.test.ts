/** The rados backend on a real cluster: the contract of a target, with regions of one object and of many. */
import { afterAll, beforeAll } from '@jest/globals';
import { RADOS_CAPABILITIES } from '../../backends/rados/capabilities.js';
import { RadosTarget } from '../../backends/rados/rados-target.js';
import { describeTarget } from '../../core/conformance/index.js';
import type { Target } from '../../core/index.js';
import { runnerOf } from '../conformance/chosen-groups.js';
import { ceph, QUIET, TestCluster } from './cluster.js';

let cluster: TestCluster;
/** Keeps the connection, which all targets share: to connect for each of hundreds takes half of the time. */
let keeper: Target;

ceph.describe('a rados target', () => {
  beforeAll(async () => {
    // In memory: what disks do is tested elsewhere, and here most of the time would be waits for them.
    cluster = await TestCluster.start({ STORE: 'memstore' });
    keeper = cluster.target();
    await keeper.open();
  }, 200_000);
  afterAll(async () => {
    await keeper.close();
    await cluster.stop();
  }, 100_000);

  for (const [title, stripe_bytes, groups] of [
    ['with stripes of 4 MiB', 4_194_304, undefined],
    // What depends on where a region is cut. Each region of the other groups would be many operations.
    ['with stripes of 16 KiB', 16_384, ['createAndWrite', 'write and persist', 'readv and writev', 'bounds']],
  ] as const) {
    ceph.describe(title, () => {
      const settings = new WeakMap<Target, ReturnType<TestCluster['settings']>>();
      const over = (config: ReturnType<TestCluster['settings']>, poolId?: Uint8Array): Target => {
        const target = new RadosTarget(config, QUIET, { poolId });
        settings.set(target, config);
        return target;
      };
      describeTarget(
        runnerOf(groups),
        {
          create: () => over(cluster.settings({ stripe_bytes })),
          createImporting: (poolId) => over(cluster.settings({ stripe_bytes }), poolId),
          reopen: (target) => over(settings.get(target) as ReturnType<TestCluster['settings']>),
          // Any number of daemons may serve one namespace.
          isShared: true,
          // At most 2^20 stripes.
          maxRegionBytes: stripe_bytes < 1e6 ? 2 ** 34 : 2 ** 40,
        },
        RADOS_CAPABILITIES,
      );
    });
  }
});
