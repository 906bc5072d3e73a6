/**
 * Rights of clients by their connection in a configuration: `bedrock.auth.certificates` and
 * `bedrock.auth.peers`.
 */
import { parseGrants } from '../security/token-file.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';

/** Reports what the schema cannot express. @param given the document, without defaults */
export function checkConnectionGrants(given: Record<string, unknown>, faults: FaultList): void {
  // Not worth reporting for a document that is faulty already.
  if (faults.isAny) return;
  const bedrock = isObject(given.bedrock) ? given.bedrock : {};
  const { certificates, peers } = isObject(bedrock.auth) ? bedrock.auth : {};
  const { client_ca: authority } = isObject(bedrock.tls) ? bedrock.tls : {};
  if (certificates !== undefined && authority === undefined)
    faults.add(
      ['bedrock', 'auth', 'certificates'],
      'it needs bedrock.tls.client_ca, a file with the authorities that sign them',
    );
  checkEntries(certificates, 'certificates', ['subject', 'san'], faults);
  checkEntries(peers, 'peers', ['uid', 'gid'], faults);
}

/** @param names keys of which an entry has exactly one */
function checkEntries(list: unknown, key: string, names: readonly [string, string], faults: FaultList): void {
  if (!Array.isArray(list)) return;
  for (const [index, entry] of list.entries()) {
    if (!isObject(entry)) continue;
    const at = ['bedrock', 'auth', key, index];
    if (names.filter((name) => entry[name] !== undefined).length !== 1)
      faults.add(at, `it takes either ${names.join(' or ')}`);
    const grants = parseGrants(entry.grants);
    // If it is not a list of grants at all, the schema reports it.
    if (typeof grants === 'string' && grants.startsWith('a grant of admin'))
      faults.add([...at, 'grants'], grants);
  }
}
