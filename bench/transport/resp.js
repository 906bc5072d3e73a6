/** The daemon and redis-server, both by the connection of this package's client, which knows of neither. */
import { randomBytes } from 'node:crypto';
import { RespConnection } from '../../dist/core/client/resp/resp-connection.js';
import { nameOf } from '../kv/names.js';
import { overWorkingSet } from './working-set.js';

/** Requests in flight while a store is filled. */
const FILLING = 256;

/** Regions of a provider. */
export async function openRegions({ address, provider }) {
  const connection = await RespConnection.open(address);
  await connection.send(['SELECT', provider]);
  const operations = overWorkingSet({
    make: async (size) => textOf(await connection.send(['BLOB.CREATE', size])),
    write: (id, bytes) => connection.send(['BLOB.WRITE', id, 0, bytes]),
    writeDurably: (id, bytes) => connection.send(['BLOB.WRITE', id, 0, bytes, 'PERSIST']),
    read: (id, into) => connection.send(['BLOB.READ', id, 0, into.length], into),
  });
  const create = (bytes) => connection.send(['BLOB.CREATE', bytes.length, 'DATA', bytes]);
  return { ...operations, fill: (size, count) => fill(create, size, count), close: () => connection.close() };
}

/** Strings of redis-server. Whether a write is durable is a matter of its configuration. */
export async function openRedis({ address }) {
  const connection = await RespConnection.open(address);
  const write = (key, bytes) => connection.send(['SETRANGE', key, 0, bytes]);
  const operations = overWorkingSet({
    async make(size) {
      const key = randomBytes(16).toString('hex');
      await connection.send(['SET', key, Buffer.alloc(size)]);
      return key;
    },
    write,
    writeDurably: write,
    read: (key, into) => connection.send(['GETRANGE', key, 0, into.length - 1], into),
  });
  // A key has the 16 bytes that the ID of a region has.
  const set = (bytes) => connection.send(['SET', randomBytes(16), bytes]);
  return {
    ...operations,
    fill: (size, count) => fill(set, size, count),
    tidy: () => forgetLog(connection),
    close: () => connection.close(),
  };
}

/**
 * Values under names, by SET and GET, of a provider or of redis-server. Whether a SET is durable is
 * a matter of the server.
 * @param provider none at redis-server
 */
export async function openStrings({ address, provider }) {
  const connection = await RespConnection.open(address);
  if (provider !== undefined) await connection.send(['SELECT', provider]);
  let made = 0;
  const write = (name, bytes) => connection.send(['SET', name, bytes]);
  const operations = overWorkingSet({
    async make(size) {
      const name = nameOf(made++);
      await write(name, Buffer.alloc(size));
      return name;
    },
    write,
    writeDurably: write,
    read: (name, into) => connection.send(['GET', name], into),
  });
  const set = (bytes) => write(nameOf(made++), bytes);
  return { ...operations, fill: (size, count) => fill(set, size, count), close: () => connection.close() };
}

/** Makes so many of the size. */
async function fill(make, size, count) {
  const bytes = Buffer.alloc(size, 7);
  let made = 0;
  const loop = async () => {
    while (made++ < count) await make(bytes);
  };
  await Promise.all(Array.from({ length: FILLING }, loop));
  return count;
}

/**
 * Has redis-server write its log anew, and waits for it: else large writes would fill the memory
 * that the log lies in.
 */
async function forgetLog(connection) {
  await connection.send(['BGREWRITEAOF']);
  let info;
  do {
    await new Promise((resolve) => setTimeout(resolve, 5));
    info = textOf(await connection.send(['INFO', 'persistence']));
  } while (!/aof_rewrite_in_progress:0\s+aof_rewrite_scheduled:0/.test(info));
  return null;
}

function textOf(reply) {
  return typeof reply === 'string' ? reply : Buffer.from(reply).toString();
}
