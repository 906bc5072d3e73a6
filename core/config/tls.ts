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
  // Not given as a default in this case: whoever writes "required" without it must not find that nothing is.
  if (isObject(tls) && tls.client_certificates !== undefined && tls.client_ca === undefined)
    faults.add(
      ['bedrock', 'tls', 'client_certificates'],
      'it takes client_ca, a file with those who sign them',
    );
  if (!isObject(remote) || (remote.cert === undefined) === (remote.key === undefined)) return;
  const [there, missing] = remote.cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
  faults.add(['bedrock', 'remote_tls', there], `it takes ${missing} too`);
}

/**
 * The HTTP address of a daemon with TLS, which is always https://, however it is written: what was
 * meant to be protected is never plain.
 * @returns the address, or a text that says why there is none
 */
export function withTls(address: ListenAddress, isTls: boolean): ListenAddress | string {
  if (address.kind === 'unix') return address;
  if (address.isSecure && !isTls) return 'https:// takes bedrock.tls, with a certificate and its key';
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
