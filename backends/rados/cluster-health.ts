/** What the cluster says of itself: checked when a target opens, and afterwards as metrics. */
import { type BackendContext, explain } from '../../core/index.js';
import type { Objects } from './cluster.js';

const PERIOD_MS = 30_000;

/** What `ceph status` says of a cluster. */
export interface ClusterState {
  /** `HEALTH_OK`, `HEALTH_WARN` or `HEALTH_ERR`. */
  readonly health: string;
  readonly osds: number;
  readonly osdsUp: number;
}

/** @throws UNREACHABLE */
export async function clusterState(objects: Objects): Promise<ClusterState> {
  const found = (await objects.command({ prefix: 'status' })) as {
    health?: { status?: string };
    osdmap?: { num_osds?: number; num_up_osds?: number };
  };
  return {
    health: found.health?.status ?? 'unknown',
    osds: found.osdmap?.num_osds ?? 0,
    osdsUp: found.osdmap?.num_up_osds ?? 0,
  };
}

/** How many copies of each object a pool keeps, and with how many it serves. @throws UNREACHABLE */
export async function copiesOf(objects: Objects, pool: string): Promise<{ size: number; least: number }> {
  const setting = async (name: string): Promise<number> => {
    const found = await objects.command({ prefix: 'osd pool get', pool, var: name });
    return Number((found as Record<string, unknown>)[name]);
  };
  return { size: await setting('size'), least: await setting('min_size') };
}

const LEVELS = ['HEALTH_OK', 'HEALTH_WARN', 'HEALTH_ERR'];

export class ClusterHealth {
  #timer: NodeJS.Timeout | undefined;
  readonly #gauges;

  constructor(
    private readonly objects: Objects,
    private readonly pool: string,
    private readonly context: Pick<BackendContext, 'logger' | 'metrics'>,
  ) {
    const gauge = (name: string, help: string) => context.metrics.gauge({ name: `rados_${name}`, help });
    this.#gauges = {
      health: gauge(
        'cluster_health',
        'Health of the Ceph cluster: 0 OK, 1 a warning, 2 an error, 3 not known.',
      ),
      osds: gauge('osds', 'OSDs of the Ceph cluster.'),
      osdsUp: gauge('osds_up', 'OSDs of the Ceph cluster that run.'),
      inFlight: gauge('operations_in_flight', 'Operations that the cluster has not answered yet.'),
      waiting: gauge('operations_waiting', 'Operations that wait for max_in_flight.'),
    };
  }

  /** Warns of a pool that keeps too few copies. */
  async checkPool(): Promise<void> {
    const { logger } = this.context;
    try {
      const { size, least } = await copiesOf(this.objects, this.pool);
      if (size === 1)
        logger.warning(
          `pool "${this.pool}" has size 1: it keeps one copy, and what the disk of an OSD loses is lost`,
        );
      else if (least === 1)
        logger.warning(
          `pool "${this.pool}" has min_size 1: it acknowledges what one OSD has, and may lose it with that one; set it to 2`,
        );
      else logger.info(`pool "${this.pool}" keeps ${size} copies, and serves while ${least} are there`);
    } catch (error) {
      logger.warning(`how many copies pool "${this.pool}" keeps is not known: ${explain(error)}`);
    }
  }

  /** Keeps the metrics up to date. */
  start(): void {
    const update = (): void => {
      this.#update().catch(() => this.#gauges.health.set(LEVELS.length));
    };
    update();
    this.#timer = setInterval(update, PERIOD_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #update(): Promise<void> {
    const { limiter } = this.objects;
    this.#gauges.inFlight.set(limiter.running);
    this.#gauges.waiting.set(limiter.waiting);
    const { health, osds, osdsUp } = await clusterState(this.objects);
    const level = LEVELS.indexOf(health);
    this.#gauges.health.set(level < 0 ? LEVELS.length : level);
    this.#gauges.osds.set(osds);
    this.#gauges.osdsUp.set(osdsUp);
  }
}
