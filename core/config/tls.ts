/** Transport security in a configuration: `bedrock.tls` and `bedrock.remote_tls`. */
import path from 'node:path';
import type { ListenAddress } from '../net/address.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';
import type { DaemonSettings } from './resolved-config.js';

/**
 * Reports what the schema cannot express.
 * @param given the document, without defaults
 */
export function checkTls(given: Record<string, unknown>, faults: FaultList): void {
  const bedrock = isObject(given.bedrock) ? given.bedrock : {};
  const { tls, remote_tls: remote } = bedrock;
  // It has no default in this case: a user who writes "required" without it must not end up without
  // any check.
  if (isObject(tls) && tls.client_certificates !== undefined && tls.client_ca === undefined)
    faults.add(
      ['bedrock', 'tls', 'client_certificates'],
      'it needs client_ca, a file with the authorities that sign them',
    );
  if (!isObject(remote) || (remote.cert === undefined) === (remote.key === undefined)) return;
  const [there, missing] = remote.cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
  faults.add(['bedrock', 'remote_tls', there], `it also needs ${missing}`);
}

/**
 * The HTTP address of a daemon with TLS. It is always https://, however it is written, so that
 * nothing is sent unencrypted by mistake.
 * @returns the address, or a text that says why there is none
 */
export function withTls(address: ListenAddress, isTls: boolean): ListenAddress | string {
  if (address.kind === 'unix') return address;
  if (address.isSecure && !isTls) return 'https:// needs bedrock.tls, with a certificate and its key';
  return { ...address, isSecure: isTls };
}

/** The two sections with absolute paths. */
export function absoluteTls(
  { tls, remote_tls: remote }: DaemonSettings,
  directory: string,
): Pick<DaemonSettings, 'tls' | 'remote_tls'> {
  const whole = <T extends object>(section: T, keys: readonly string[]): T =>
    Object.fromEntries(
      Object.entries(section).map(([key, value]) => [
        key,
        keys.includes(key) ? path.resolve(directory, value as string) : (value as unknown),
      ]),
    ) as T;
  return {
    ...(tls !== undefined && { tls: whole(tls, ['cert', 'key', 'client_ca']) }),
    ...(remote !== undefined && { remote_tls: whole(remote, ['ca', 'cert', 'key']) }),
  };
}
