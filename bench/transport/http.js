/**
 * A server of node:http that holds one value, by undici, which the client for the daemon's HTTP
 * door is made of.
 */
import { Pool } from 'undici';

const CONNECTIONS = 64;

export function openHttp({ url }) {
  const pool = new Pool(url, { connections: CONNECTIONS });
  const put = async (body) => {
    const response = await pool.request({ method: 'PUT', path: '/', body });
    await response.body.dump();
  };
  return {
    write: (size) => {
      const bytes = Buffer.alloc(size, 7);
      return { run: () => put(bytes) };
    },
    async read(size) {
      await put(Buffer.alloc(size, 7));
      const get = async () => {
        const response = await pool.request({ method: 'GET', path: '/' });
        return response.body.arrayBuffer();
      };
      return { run: get };
    },
    close: () => pool.close(),
  };
}
