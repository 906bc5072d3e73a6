/** Reads how the daemon presents itself to other daemons: the files of `bedrock.remote_tls`. */
import { readFile } from 'node:fs/promises';
import type { RemoteTlsConfig } from '../../schemas/generated/bedrock.js';
import { BedrockError, messageOf } from '../base/errors.js';
import type { RemoteOptions } from '../contract/remote-provider.js';

/** Reads the files each time, since certificates are renewed while daemons run. @throws UNREACHABLE */
export async function readRemoteOptions(tls: RemoteTlsConfig | undefined): Promise<RemoteOptions> {
  if (tls === undefined) return {};
  const read = async (key: keyof RemoteTlsConfig): Promise<Partial<Record<typeof key, Buffer>>> => {
    const file = tls[key];
    if (file === undefined) return {};
    try {
      return { [key]: await readFile(file) };
    } catch (cause) {
      const message = `${file} (bedrock.remote_tls.${key}) cannot be read: ${messageOf(cause)}`;
      throw new BedrockError('UNREACHABLE', message, { cause });
    }
  };
  const [ca, cert, key] = await Promise.all([read('ca'), read('cert'), read('key')]);
  return { tls: { ...ca, ...cert, ...key } };
}
