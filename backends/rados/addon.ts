/**
 * The native addon of the backend, over librados: its types, and how it is loaded when a target is
 * first opened. Without it all else works.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { BedrockError, messageOf } from '../../core/index.js';

/** A step of a write operation. All steps of an operation are made, or none. */
export type WriteStep =
  | readonly ['assertExists']
  /** The object must not exist. */
  | readonly ['create']
  | readonly ['cmpxattr', name: string, comparison: '=' | '<=', value: Buffer]
  | readonly ['setxattr', name: string, value: Buffer]
  | readonly ['write', offset: number, bytes: Buffer]
  | readonly ['remove']
  /** An empty value means that the key is absent. */
  | readonly ['omapCompare', key: Buffer, value: Buffer]
  | readonly ['omapSet', keysAndValues: readonly Buffer[]]
  | readonly ['omapRemove', keys: readonly Buffer[]]
  /** Removes the keys from the first one on, and before the other one. */
  | readonly ['omapRemoveRange', first: Buffer, behind: Buffer];

/** A step of a read operation. */
export type ReadStep =
  | readonly ['assertExists']
  | readonly ['cmpxattr', name: string, comparison: '=' | '<=', value: Buffer]
  | readonly ['read', offset: number, into: Buffer]
  | readonly ['xattrs']
  | readonly ['omapGet', keys: readonly Buffer[]]
  | readonly ['omapPage', after: Buffer, prefix: Buffer, limit: number];

/** A position in the list of objects; the addon knows what it is. */
export type ListPosition = object & { readonly __position: never };

/** Objects of a pool, in one namespace. */
export interface AddonIo {
  /** Begins an operation. Its result is delivered under `number`. */
  write(number: number, object: string, steps: readonly WriteStep[]): void;
  read(number: number, object: string, steps: readonly ReadStep[]): void;
  /** The names of at most so many objects, and where the list goes on if there are more. */
  list(limit: number, from?: ListPosition): Promise<{ names: string[]; next?: ListPosition }>;
  close(): void;
}

/** A client of a cluster. */
export interface AddonCluster {
  connect(client: string, conf: string, options: readonly string[]): Promise<void>;
  command(json: string): Promise<{ status: number; output: string; text: string }>;
  open(pool: string, namespace: string): Promise<AddonIo>;
  close(): Promise<void>;
}

/** What the addon exports. */
export interface RadosAddon {
  /** `deliver` gets number, status and results of each operation that has ended, one after another. */
  readonly Cluster: new (deliver: (ended: readonly unknown[]) => void) => AddonCluster;
  /** Version of librados. */
  readonly version: string;
}

const CURE = 'install librados (Debian: apt-get install librados-dev), then run `npx bedrock native build`';

let loaded: RadosAddon | undefined;

/** Path of the addon, or the value of the environment variable BEDROCK_RADOS_ADDON. */
export function radosAddonPath(): string {
  return process.env.BEDROCK_RADOS_ADDON ?? path.join(buildFolder(), 'Release/bedrock_rados.node');
}

/** @throws NATIVE_UNAVAILABLE, with the cause and what to do */
export function loadRadosAddon(): RadosAddon {
  if (loaded !== undefined) return loaded;
  const file = radosAddonPath();
  const module = { exports: {} };
  try {
    // Not require(): the module system of the tests has its own, and this needs none.
    process.dlopen(module, file);
  } catch (error) {
    const why = existsSync(file)
      ? `it does not load (${messageOf(error)})`
      : `it is not built (${buildError()})`;
    throw new BedrockError(
      'NATIVE_UNAVAILABLE',
      `the addon of the backend "rados" is not available: ${why}; ${CURE}`,
      { details: { path: file }, cause: error },
    );
  }
  return (loaded = module.exports as RadosAddon);
}

/** This file runs as backends/rados/addon.ts and as dist/backends/rados/addon.js. */
function buildFolder(): string {
  const root = path.resolve(import.meta.dirname, '../..');
  return path.join(path.basename(root) === 'dist' ? path.dirname(root) : root, 'native/build');
}

/** The error that scripts/native.js recorded. */
function buildError(): string {
  try {
    const stamp = JSON.parse(readFileSync(path.join(buildFolder(), 'rados.json'), 'utf8')) as {
      error?: string;
    };
    return stamp.error ?? 'it was removed';
  } catch {
    return 'librados was not found when this package was installed';
  }
}
