/**
 * Checks of a running daemon: the reasons of `/readyz`, how full its targets are, the result of
 * recovery, and its clock.
 */
import type { Service } from '../client/service.js';
import type { DaemonStatus, TargetStatus } from '../contract/daemon-status.js';
import { type Diagnosis, ok, problem, warning } from '../contract/diagnosis.js';
import { BedrockError } from '../base/errors.js';
import type { Check } from './checks.js';

/** The part of the capacity from which on a target counts as full. */
const FULL_SOON = 0.9;
const MAX_CLOCK_DIFFERENCE_MS = 2000;

/** @param connect to the daemon */
export function daemonCheck(connect: (signal: AbortSignal) => Promise<Service>): Check {
  return {
    name: 'daemon',
    run: async (signal) => {
      try {
        const service = await connect(signal);
        const sent = Date.now();
        const status = await service.status({ signal });
        return [
          ok('daemon', `${service.url} answers: version ${status.version}, process ${status.process.pid}`),
          ...readinessOf(await service.whyNotReady({ signal })),
          ...targetsOf(status),
          clockOf(status, sent, Date.now()),
        ];
      } catch (error) {
        if (!(error instanceof BedrockError)) throw error;
        return [problem('daemon', `${error.code}: ${error.message}`)];
      }
    },
  };
}

function readinessOf(reasons: readonly string[]): Diagnosis[] {
  if (reasons.length === 0) return [ok('readiness', 'the daemon is ready')];
  return reasons.map((reason) => problem('readiness', reason, 'see the log of the daemon'));
}

function targetsOf({ providers }: DaemonStatus): Diagnosis[] {
  return providers.flatMap(({ name, targets }) =>
    targets.flatMap((target, index) => targetOf(targets.length > 1 ? `${name}.${index}` : name, target)),
  );
}

function targetOf(label: string, { stats }: TargetStatus): Diagnosis[] {
  if (stats === undefined) return [];
  const findings: Diagnosis[] = [];
  const { capacityBytes, usedBytes, recovery, failedGiveBacks } = stats;
  const full = capacityBytes === null || capacityBytes === 0 ? 0 : usedBytes / capacityBytes;
  const found =
    capacityBytes === null ? 'unlimited' : `${Math.round(full * 100)} % of ${capacityBytes} bytes used`;
  findings.push(
    full >= FULL_SOON
      ? warning(label, found, 'erase what is not needed, or raise its limit')
      : ok(label, found),
  );
  if (recovery.quarantined > 0)
    findings.push(
      warning(
        label,
        `recovery set ${recovery.quarantined} damaged slots aside`,
        'stop the daemon, then bedrock pool check and bedrock pool repair',
      ),
    );
  if (failedGiveBacks > 0)
    findings.push(
      warning(label, `the space of ${failedGiveBacks} regions could not be freed at once`, 'see its log'),
    );
  return findings;
}

/** The daemon's clock decides when tokens expire, and dates regions. */
function clockOf({ time }: DaemonStatus, sent: number, received: number): Diagnosis {
  const away = time < sent ? sent - time : Math.max(0, time - received);
  if (away <= MAX_CLOCK_DIFFERENCE_MS) return ok('clocks', "the daemon's and this one agree");
  return warning(
    'clocks',
    `the daemon's is ${(away / 1000).toFixed(1)} s ${time < sent ? 'behind' : 'ahead of'} this one`,
    'let a service such as chrony keep both',
  );
}
