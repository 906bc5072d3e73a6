/**
 * Refuses to listen at addresses that other machines can reach, unless clients must say who they
 * are.
 */
import { isLoopback, type ListenAddress, type RespAddress } from '../net/address.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';

const CURE =
  'set bedrock.auth (docs/security.md has the five commands), listen at 127.0.0.1, or set "insecure": true under bedrock';

/**
 * Reports an `auth` that gives nobody access. Also reports addresses that other machines can reach
 * if the configuration has neither `bedrock.auth` nor `bedrock.insecure`.
 */
export function checkOpenAddresses(
  root: Record<string, unknown>,
  { address, respAddress }: { address: ListenAddress | undefined; respAddress: RespAddress | undefined },
  faults: FaultList,
): void {
  const bedrock = isObject(root.bedrock) ? root.bedrock : {};
  // Not worth reporting for a section that is already faulty.
  if (isObject(bedrock.auth) && bedrock.auth.tokens === undefined && !faults.isAny)
    faults.add(['bedrock', 'auth'], 'it does not say where the tokens are: set tokens (a path)');
  if (bedrock.auth !== undefined || bedrock.insecure === true) return;
  const report = (path: string[], host: string): void => {
    if (isLoopback(host)) return;
    faults.add(
      path,
      `other machines can reach ${host}, and anyone who reaches it could read and erase all regions: ${CURE}`,
    );
  };
  if (address?.kind === 'tcp') report(['margo', 'mercury', 'address'], address.host);
  if (respAddress?.tcp !== undefined) report(['bedrock', 'resp', 'address'], respAddress.tcp.host);
}
