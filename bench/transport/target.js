/** A target as a program has it from `connect`, over HTTP or over the Redis protocol. */
import { connect } from 'bedrock-node';
import { overWorkingSet } from './working-set.js';

const DURABLY = { persist: true };

export async function openTarget({ url, provider }) {
  const service = await connect(url);
  const target = service.target(provider);
  const operations = overWorkingSet({
    make: (size) => target.create(size),
    write: (id, bytes) => target.write(id, 0, bytes),
    writeDurably: (id, bytes) => target.write(id, 0, bytes, DURABLY),
    read: (id, into) => target.readInto(id, 0, into),
  });
  return { ...operations, close: () => service.close() };
}
