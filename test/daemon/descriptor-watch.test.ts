/** A daemon that runs out of file descriptors says so, as Node.js closes the connections that find none without a word. */
import { createServer } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { type DescriptorCount, DescriptorWatch } from '../../core/daemon/descriptor-watch.js';
import { goOnAfterFailures } from '../../core/net/listening.js';
import { recordingLogger } from '../fixtures/recording-logger.js';

const LIMIT = 1024;

function watched(): { watch: DescriptorWatch; log: () => string[]; opens: (open: number) => Promise<void> } {
  const { logger, entries } = recordingLogger();
  let now: DescriptorCount | undefined;
  const watch = new DescriptorWatch({ logger, count: () => Promise.resolve(now) });
  return {
    watch,
    log: () => entries.map(({ level }) => level),
    opens: async (count) => {
      now = { open: count, limit: LIMIT };
      await watch.look();
    },
  };
}

describe('the watch of descriptors', () => {
  it('warns once when hardly any are left, and says when there are again', async () => {
    const { watch, log, opens } = watched();
    for (const open of [20, 900, 1000, 1020, 1024, 940, 700, 20]) await opens(open);
    expect(log()).toEqual(['warning', 'info']);
    expect(watch.shortages).toBe(1);
  });

  it('warns again now and then while it lasts, and counts that once', async () => {
    const { watch, log, opens } = watched();
    for (let look = 0; look < 30; look++) await opens(LIMIT);
    expect(log()).toEqual(['warning', 'warning', 'warning']);
    expect(watch.shortages).toBe(1);
  });

  it('says nothing where they cannot be counted', async () => {
    const { logger, entries } = recordingLogger();
    await new DescriptorWatch({ logger, count: () => Promise.resolve(undefined) }).look();
    await new DescriptorWatch({ logger, count: () => Promise.reject(new Error('EIO')) }).look();
    expect(entries).toEqual([]);
  });

  it('counts those of the process', async () => {
    const { logger, entries } = recordingLogger();
    await new DescriptorWatch({ logger }).look();
    expect(entries).toEqual([]);
  });
});

describe('a server that listens', () => {
  it('goes on if a connection cannot be accepted, with one line for a series of them', () => {
    const { logger, entries } = recordingLogger();
    const server = createServer();
    goOnAfterFailures(server, logger);
    for (let time = 0; time < 5; time++) server.emit('error', new Error('accept EMFILE'));
    expect(entries.map(({ level }) => level)).toEqual(['warning']);
  });
});
