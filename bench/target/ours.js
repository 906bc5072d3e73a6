/**
 * A target as a program has it from `bootstrap`. Each operation gives a function of an index, which
 * gives the target's own promise.
 */
import { bootstrap } from 'bedrock-node';

const SPAN = 2 ** 25;
const REGION_BITS = 20;
const REGION_BYTES = 2 ** REGION_BITS;
const DURABLY = { persist: true };

export async function openTarget(type, config) {
  const providers = [{ name: 'store', type: 'warabi', config: { target: { type, config } } }];
  const daemon = await bootstrap({ providers }, { listen: false, logLevel: 'warning' });
  const target = daemon.target('store');
  const source = Buffer.alloc(REGION_BYTES, 7);
  const ids = [];
  for (let at = 0; at < SPAN; at += REGION_BYTES) {
    ids.push(await target.createAndWrite(source, DURABLY));
  }

  /**
   * Calls with the region and the offset that an index stands for; by masks, as a division would
   * take longer than what it is for.
   */
  const walk = (size, call) => (index) => {
    const at = (index * size) & (SPAN - 1);
    return call(ids[at >>> REGION_BITS], at & (REGION_BYTES - 1));
  };
  const writing = (options) => (size) => {
    const bytes = source.subarray(0, size);
    return walk(size, (id, offset) => target.write(id, offset, bytes, options));
  };

  return {
    write: writing(undefined),
    writeDurably: writing(DURABLY),
    read: (size) => walk(size, (id, offset) => target.read(id, offset, size)),
    create: (size) => () => target.create(size),
    createAndErase: (size) => async () => target.erase(await target.create(size)),
    map: (size) => walk(size, async (id) => (await target.map(id)).release()),
    close: () => daemon.close(),
  };
}
