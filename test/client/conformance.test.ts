/** Remote targets keep the contract of a target: over HTTP or the Redis protocol, TCP or a unix socket, whichever backend the daemon has. */
import { afterAll, afterEach, beforeEach, describe, it } from '@jest/globals';
import { FILE_CAPABILITIES } from '../../backends/file/index.js';
import { MEMORY_CAPABILITIES } from '../../backends/memory/memory-target.js';
import { PMEM_CAPABILITIES } from '../../backends/pmem/index.js';
import { describeTarget } from '../../core/conformance/index.js';
import type { Capabilities } from '../../core/index.js';
import { nativeAddon, needs } from '../fixtures/needs.js';
import { RemoteFactory, type Transport } from './remote-factory.js';

type Backend = 'memory' | 'file' | 'pmem';

const CAPABILITIES: Record<Backend, Capabilities> = {
  memory: MEMORY_CAPABILITIES,
  file: FILE_CAPABILITIES,
  pmem: PMEM_CAPABILITIES,
};

const COMBINATIONS: [Backend, Transport][] = [
  ['file', 'TCP'],
  ['pmem', 'a unix socket'],
  ['memory', 'RESP'],
  ['pmem', 'RESP on a unix socket'],
];

for (const [type, transport] of COMBINATIONS) {
  needs('the native addon', type !== 'pmem' || nativeAddon.isHere).describe(
    `a remote ${type} target over ${transport}`,
    () => {
      const factory = new RemoteFactory(type, transport);
      afterAll(() => factory.end());
      // What needs the process itself is not for the other end of a connection.
      const capabilities = { ...CAPABILITIES[type], mappable: false, importable: false };
      describeTarget({ describe, it, beforeEach, afterEach }, factory, capabilities);
    },
  );
}
