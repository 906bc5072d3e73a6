/** The address of the Redis door: `bedrock.resp` of a configuration. */
import { parseHostPort, parseSocketPath, type RespAddress } from '../net/address.js';
import { describeFound } from '../validation/issues.js';
import type { ConfigDocument } from './document.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';

/** A configuration with another address of the Redis door, whether it had one before or not. */
export function withRespAddress(root: Record<string, unknown>, address: string): Record<string, unknown> {
  const { bedrock = {} } = root;
  if (!isObject(bedrock)) return root;
  const { resp = {} } = bedrock;
  return isObject(resp) ? { ...root, bedrock: { ...bedrock, resp: { ...resp, address } } } : root;
}

/** Reports what is wrong. */
export function resolveRespAddress(
  root: Record<string, unknown>,
  { directory }: ConfigDocument,
  isMoved: boolean,
  faults: FaultList,
): RespAddress | undefined {
  const bedrock = isObject(root.bedrock) ? root.bedrock : {};
  const { resp } = bedrock;
  if (!isObject(resp)) return undefined;
  const read = <T>(key: string, parse: (text: string) => T | string, expected: string): T | undefined => {
    const text = resp[key];
    if (typeof text !== 'string') return undefined;
    const parsed = parse(text);
    if (typeof parsed !== 'string') return parsed;
    const message = `found ${describeFound(text)}: ${parsed}; expected ${expected}`;
    if (isMoved && key === 'address')
      faults.addElsewhere(['bedrock', 'resp', key], `replaced by the address given at the start: ${message}`);
    else faults.add(['bedrock', 'resp', key], message);
    return undefined;
  };
  const tcp = read('address', parseHostPort, 'host:port (port 0 takes a free one)');
  const unix = read('unix', (text) => parseSocketPath(text, directory), 'the path of a socket')?.path;
  // Not worth reporting for a section that is already faulty.
  if (resp.address === undefined && resp.unix === undefined && !faults.isAny)
    faults.add(['bedrock', 'resp'], 'it has neither address (host:port) nor unix (the path of a socket)');
  return { tcp, unix };
}
