/** Tokens for other daemons in a configuration: `bedrock.remote_tokens`. */
import path from 'node:path';
import { readServiceUrl } from '../net/service-url.js';
import { isObject } from './expand.js';
import type { FaultList } from './fault-list.js';
import type { DaemonSettings } from './resolved-config.js';

/** Reports what the schema cannot express. @param root the document; it may have other faults */
export function checkRemoteTokens(root: Record<string, unknown>, directory: string, faults: FaultList): void {
  const { remote_tokens: tokens } = isObject(root.bedrock) ? root.bedrock : {};
  if (!Array.isArray(tokens)) return;
  const seen = new Set<string>();
  for (const [index, entry] of tokens.entries()) {
    if (!isObject(entry) || typeof entry.address !== 'string') continue;
    const at = ['bedrock', 'remote_tokens', index, 'address'];
    const url = readServiceUrl(entry.address, directory);
    if (typeof url === 'string') faults.add(at, url);
    else if (seen.has(url.text)) faults.add(at, 'another entry already has this address');
    else seen.add(url.text);
  }
}

/** The section with absolute paths and with addresses in the form that they are compared in. */
export function absoluteRemoteTokens(
  { remote_tokens: tokens }: DaemonSettings,
  directory: string,
): Pick<DaemonSettings, 'remote_tokens'> {
  if (tokens === undefined) return {};
  return {
    remote_tokens: tokens.map(({ address, token_file: file, migrate }) => {
      const url = readServiceUrl(address, directory);
      return {
        address: typeof url === 'string' ? address : url.text,
        token_file: path.resolve(directory, file),
        migrate,
      };
    }),
  };
}
