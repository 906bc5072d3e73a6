/**
 * Named values of a target as a program has it from `bootstrap`: `names` of them, of one size. Each
 * operation gives a function of an index, which gives a promise.
 */
import { bootstrap } from 'bedrock-node';
import { TOGETHER, sourceBytes, valuesOf } from '../peers/values.js';
import { NAMES, scatteredNames } from './names.js';

const FILLING = 256;
const REGIONS = 256;
const REGION_BYTES = 4096;

export async function openNames(type, config, { names: count = NAMES } = {}) {
  const providers = [{ name: 'store', type: 'warabi', config: { target: { type, config } } }];
  const daemon = await bootstrap({ providers }, { listen: false, logLevel: 'warning' });
  const target = daemon.target('store');
  const names = scatteredNames(count);
  const mask = count - 1;
  let held = 0;

  const hold = async (size) => {
    if (held === size) return;
    held = size;
    const bytes = sourceBytes(size);
    for (let at = 0; at < count; at += FILLING)
      await Promise.all(names.slice(at, at + FILLING).map((name) => target.put(name, bytes)));
  };
  const onNames = (call) => async (size) => {
    await hold(size);
    return (index) => call(names[index & mask], size);
  };

  return {
    target,
    async writeDurably(size) {
      await hold(size);
      const value = valuesOf(size);
      return (index) => target.put(names[index & mask], value());
    },
    find: onNames((name) => target.find(name)),
    map: onNames(async (name) => {
      const mapping = await target.map(name);
      mapping.release();
    }),
    read: onNames((name, size) => target.read(name, 0, size)),
    /** Two writes to each of half as many regions, by ID. */
    async writeTogether(size) {
      const regions = await Promise.all(Array.from({ length: REGIONS }, () => target.create(REGION_BYTES)));
      const value = valuesOf(size);
      return (index) => {
        const changes = [];
        for (let each = 0; each < TOGETHER; each++) {
          const ref = regions[(index * (TOGETHER / 2) + (each >> 1)) & (REGIONS - 1)];
          changes.push({ type: 'write', ref, offset: (each & 1) * (REGION_BYTES / 2), bytes: value() });
        }
        return target.transact(changes);
      };
    },
    async walk(size) {
      await hold(size);
      return async () => {
        let pairs = 0;
        for await (const { views } of target.mapNames()) pairs += views[0].length === size ? 1 : 0;
        return pairs;
      };
    },
    close: () => daemon.close(),
  };
}
