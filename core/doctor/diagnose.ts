/** All checks of `bedrock doctor`: of the machine, of a configuration and of a daemon. */
import type { Service } from '../client/service.js';
import type { Diagnosis } from '../contract/diagnosis.js';
import { type Check, runChecks } from './checks.js';
import { openConfig } from './config-checks.js';
import { daemonCheck } from './daemon-checks.js';
import { limitChecks } from './limit-checks.js';
import { Machine } from './machine.js';
import { pmemChecks } from './pmem-checks.js';
import { type ProcessFacts, systemChecks } from './system-checks.js';

export interface DiagnoseOptions {
  /** Folder that contains /proc and /sys. */
  readonly systemRoot: string;
  /** As PATH. */
  readonly searchPath: string;
  readonly facts: ProcessFacts;
  /** File of a configuration. */
  readonly config?: string;
  /** Connects to a daemon. */
  readonly connect?: (signal: AbortSignal) => Promise<Service>;
}

/** @param signal ends the wait for checks; what they found is lost */
export async function diagnose(options: DiagnoseOptions, signal: AbortSignal): Promise<Diagnosis[]> {
  const { systemRoot, searchPath, facts, config, connect } = options;
  const machine = new Machine(systemRoot);
  const ended = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  const until = (checks: readonly Check[]): Promise<Diagnosis[]> => Promise.race([runChecks(checks), ended]);
  const findings = await until([
    ...systemChecks(machine, facts),
    ...limitChecks(machine),
    ...pmemChecks(machine, searchPath),
  ]);
  if (config !== undefined) {
    let named: readonly Check[] = [];
    const read: Check = {
      name: 'configuration',
      run: async (end) => {
        const { findings: found, checks } = await openConfig(config, systemRoot, end);
        named = checks;
        return found;
      },
    };
    findings.push(...(await until([read])), ...(await until(named)));
  }
  if (connect !== undefined) findings.push(...(await until([daemonCheck(connect)])));
  return findings;
}
