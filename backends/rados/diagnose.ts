/**
 * What `bedrock doctor` checks of a rados target: librados, the connection, the pool's copies, the
 * cluster's health. It changes nothing.
 */
import type { Diagnosis } from '../../core/index.js';
import { loadRadosAddon } from './addon.js';
import { Objects, type RadosSettings } from './cluster.js';
import { clusterState, copiesOf } from './cluster-health.js';

/** @throws NATIVE_UNAVAILABLE, START_FAILED, UNREACHABLE */
export async function diagnoseRados(settings: RadosSettings): Promise<Diagnosis[]> {
  const { pool, namespace } = settings;
  const found: Diagnosis[] = [
    { check: 'librados', state: 'ok', found: `version ${loadRadosAddon().version}` },
  ];
  const objects = await Objects.open(settings);
  try {
    // Fails here if the user may not read the pool.
    await objects.read('catalog', [['assertExists']]);
    found.push({ check: 'connection', state: 'ok', found: `pool "${pool}", namespace "${namespace}"` });
    const { size, least } = await copiesOf(objects, pool);
    const copies = `${size} of each object, at least ${least} to serve`;
    if (size > 1 && least > 1) found.push({ check: 'copies', state: 'ok', found: copies });
    else
      found.push({
        check: 'copies',
        state: 'warning',
        found: copies,
        cure: `ceph osd pool set ${pool} size 3, and min_size 2: with fewer, a lost disk loses what was acknowledged`,
      });
    const { health, osds, osdsUp } = await clusterState(objects);
    const state = `${health}, ${osdsUp} of ${osds} OSDs run`;
    if (health === 'HEALTH_OK') found.push({ check: 'cluster', state: 'ok', found: state });
    else found.push({ check: 'cluster', state: 'warning', found: state, cure: 'ceph health detail' });
    return found;
  } finally {
    await objects.close();
  }
}
