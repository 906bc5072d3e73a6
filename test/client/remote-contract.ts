/** The contract of targets for remote ones, over each wire with each backend behind it. */
import { afterAll } from '@jest/globals';
import { FILE_CAPABILITIES } from '../../backends/file/index.js';
import { MEMORY_CAPABILITIES } from '../../backends/memory/memory-target.js';
import { PMEM_CAPABILITIES } from '../../backends/pmem/index.js';
import { describeTarget } from '../../core/conformance/index.js';
import type { Capabilities } from '../../core/index.js';
import { runnerOf } from '../conformance/chosen-groups.js';
import { nativeAddon, needs } from '../fixtures/needs.js';
import { RemoteFactory, type Transport } from './remote-factory.js';

export type Backend = 'memory' | 'file' | 'pmem';

const CAPABILITIES: Record<Backend, Capabilities> = {
  memory: MEMORY_CAPABILITIES,
  file: FILE_CAPABILITIES,
  pmem: PMEM_CAPABILITIES,
};

/** @param subjects groups of the suite; all of them unless told */
export function describeRemote(type: Backend, transport: Transport, subjects?: readonly string[]): void {
  const part = subjects === undefined ? '' : `, ${subjects.join(', ')}`;
  needs('the native addon', type !== 'pmem' || nativeAddon.isHere).describe(
    `a remote ${type} target over ${transport}${part}`,
    () => {
      const factory = new RemoteFactory(type, transport);
      afterAll(() => factory.end());
      // What needs the process itself is not for the other end of a connection.
      const capabilities = { ...CAPABILITIES[type], mappable: false, importable: false };
      describeTarget(runnerOf(subjects), factory, capabilities);
    },
  );
}
