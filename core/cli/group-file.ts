/** Group files, in the form that Mochi's Flock has: the addresses of daemons, and the providers of each. */
import { readConfigFile } from '../config/document.js';
import { FaultList } from '../config/fault-list.js';
import { SERVICE_URL_FORMS } from '../net/address.js';
import { parseServiceUrl } from '../net/service-url.js';
import { compileSchema } from '../validation/schema.js';
import { describeFound } from '../validation/issues.js';
import { messageOf } from '../base/errors.js';

const SCHEMA = new URL('../../schemas/group.schema.json', import.meta.url);

interface Group {
  readonly members: readonly { readonly address: string; readonly provider_id: number }[];
}

/** @returns the addresses of its members @throws CONFIG_INVALID, with all faults in details.issues */
export async function readGroupFile(file: string): Promise<string[]> {
  const document = await readConfigFile(file, 'json');
  const faults = new FaultList(document);
  const verdict = compileSchema(SCHEMA)(document.root);
  faults.takeVerdict([], verdict);
  faults.throwIfAny();
  const { members } = verdict.value as unknown as Group;
  for (const [index, { address }] of members.entries()) {
    try {
      parseServiceUrl(address);
    } catch (error) {
      const path = ['members', index, 'address'];
      faults.add(path, `found ${describeFound(address)}; expected ${SERVICE_URL_FORMS}: ${messageOf(error)}`);
    }
  }
  faults.throwIfAny();
  return members.map(({ address }) => address);
}
