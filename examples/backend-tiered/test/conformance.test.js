/** The contract of a target, over the real backends of a daemon. */
import { afterEach, beforeEach, describe, it } from 'node:test';
import { describeTarget } from 'bedrock-node/conformance';
import backend from '../index.js';
import { Tiers } from './daemons.js';

/** @type {WeakMap<object, Tiers>} */
const all = new WeakMap();

/** @param {Tiers} tiers */
async function targetOf(tiers) {
  const target = await tiers.target();
  all.set(target, tiers);
  return target;
}
/** @param {object} target */
const tiersOf = (target) => /** @type {Tiers} */ (all.get(target));

const runner = { describe, it, beforeEach, afterEach };
const dispose = (/** @type {object} */ target) => tiersOf(target).remove();

// It has names where its store has.
const probe = await targetOf(await Tiers.make());
const overFile = probe.capabilities;
await dispose(probe);

describe('tiered over a pool file', () => {
  const create = async () => targetOf(await Tiers.make());
  const reopen = (/** @type {object} */ target) => targetOf(tiersOf(target));
  // What a pool file takes for a region.
  const spaceOf = (/** @type {number} */ size) => Math.ceil(size / 4096) * 4096;
  const factory = { create, reopen, dispose, spaceOf, maxRegionBytes: 2 ** 24 };
  // The lock is that of the store, which two tiered targets may have in front of them.
  describeTarget(runner, { ...factory, isShared: true }, overFile);
});

describe('tiered over memory', () => {
  const createBounded = async (/** @type {number} */ max_bytes) =>
    targetOf(
      await Tiers.make({ type: 'memory', config: { max_bytes } }, { cache_bytes: 20_000, block_bytes: 512 }),
    );
  const create = () => createBounded(2 ** 33);
  describeTarget(runner, { create, createBounded, dispose }, { ...backend.capabilities, persistent: false });
});
