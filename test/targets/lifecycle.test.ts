/** Lifecycle: transitions one after another, what failures leave behind, and what close waits for. */
import { describe, expect, test } from '@jest/globals';
import { inFlight, isPending } from '../../core/conformance/assertions.js';
import { ScriptedTarget } from './scripted-target.js';

async function openTarget(): Promise<ScriptedTarget> {
  const target = new ScriptedTarget();
  await target.open();
  return target;
}

describe('opening', () => {
  test('says opening while it opens, and refuses calls until it is open', async () => {
    const target = new ScriptedTarget();
    const gate = target.hold('openStorage');
    const opened = target.open();
    expect(await isPending(opened)).toBe(true);
    expect(target.state).toBe('opening');
    await expect(target.create(1)).rejects.toMatchObject({ code: 'TARGET_CLOSED' });
    gate.open();
    await opened;
    expect(target.state).toBe('open');
  });

  test('opens the storage once for many opens', async () => {
    const target = new ScriptedTarget();
    await Promise.all([target.open(), target.open()]);
    await target.open();
    expect(target.hooks).toEqual(['openStorage']);
  });

  test('that fails gives back what it took, ends closed, and can be tried again', async () => {
    const target = new ScriptedTarget();
    target.failing.add('openStorage');
    await expect(target.open()).rejects.toThrow('openStorage failed');
    expect(target.state).toBe('closed');
    expect(target.hooks).toEqual(['openStorage', 'closeStorage']);
    await expect(target.create(1)).rejects.toMatchObject({ code: 'TARGET_CLOSED' });
    await target.close();
    expect(target.count('closeStorage')).toBe(1);
    target.failing.clear();
    await target.open();
    expect(target.state).toBe('open');
    await target.create(1);
  });

  test('that fails reports its own failure, though closing after it fails too', async () => {
    const target = new ScriptedTarget();
    target.failing.add('openStorage').add('closeStorage');
    await expect(target.open()).rejects.toThrow('openStorage failed');
    expect(target.state).toBe('closed');
    expect(target.log.lines).toEqual([expect.stringMatching(/^warning: /)]);
  });

  test('that fails does so for each of two concurrent opens', async () => {
    const target = new ScriptedTarget();
    target.failing.add('openStorage');
    const outcomes = await Promise.allSettled([target.open(), target.open()]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(target.hooks).toEqual(['openStorage', 'closeStorage', 'openStorage', 'closeStorage']);
  });

  test('again just before a close does not open the storage a second time', async () => {
    const target = await openTarget();
    await Promise.all([target.open(), target.close()]);
    expect(target.state).toBe('closed');
    expect(target.hooks).toEqual(['openStorage', 'closeStorage']);
  });

  test('just before a close serves nothing', async () => {
    const target = new ScriptedTarget();
    const opened = target.open();
    const closed = target.close();
    await opened;
    expect(target.state).toBe('closing');
    await expect(target.create(1)).rejects.toMatchObject({ code: 'TARGET_CLOSED' });
    await closed;
    expect(target.hooks).toEqual(['openStorage', 'closeStorage']);
  });

  test('between two closes leaves nothing open', async () => {
    const target = await openTarget();
    await Promise.all([target.close(), target.open(), target.close()]);
    expect(target.state).toBe('closed');
    expect(target.hooks).toEqual(['openStorage', 'closeStorage', 'openStorage', 'closeStorage']);
  });
});

describe('closing', () => {
  test('does nothing to a target that was never open', async () => {
    const target = new ScriptedTarget();
    await target.close();
    expect(target.hooks).toEqual([]);
  });

  test('closes the storage once for many closes', async () => {
    const target = await openTarget();
    await Promise.all([target.close(), target.close()]);
    await target.close();
    expect(target.count('closeStorage')).toBe(1);
  });

  for (const hook of [
    'allocate',
    'publish',
    'read',
    'write',
    'persist',
    'usage',
    'unpublish',
    'release',
  ] as const) {
    test(`waits for a call that is in ${hook}`, async () => {
      const target = await openTarget();
      const id = await target.create(8);
      const gate = target.hold(hook);
      const calls = {
        allocate: () => target.create(1),
        publish: () => target.create(1),
        read: () => target.read(id, 0, 8),
        write: () => target.write(id, 0, Buffer.alloc(8)),
        persist: () => target.persist(id),
        usage: () => target.stats(),
        unpublish: () => target.erase(id),
        release: () => target.erase(id),
      };
      const call = inFlight<unknown>(calls[hook]());
      // Until the call has come as far as its hook.
      expect(await isPending(call)).toBe(true);
      const closed = target.close();
      expect(await isPending(closed)).toBe(true);
      expect(target.state).toBe('closing');
      expect(target.count('closeStorage')).toBe(0);
      gate.open();
      await call;
      await closed;
      expect(target.hooks.at(-1)).toBe('closeStorage');
      expect(target.state).toBe('closed');
    });
  }

  test('waits for the space of an erased region to be given back by its last call', async () => {
    const target = await openTarget();
    const id = await target.create(8);
    const reading = target.hold('read');
    const releasing = target.hold('release');
    const read = target.read(id, 0, 8);
    await target.erase(id);
    const closed = target.close();
    reading.open();
    await read;
    expect(await isPending(closed)).toBe(true);
    expect(target.hooks.slice(-1)).toEqual(['release']);
    releasing.open();
    await closed;
    expect(target.hooks.slice(-2)).toEqual(['release', 'closeStorage']);
  });

  test('ends although the space of an erased region cannot be given back', async () => {
    const target = await openTarget();
    const id = await target.create(8);
    const reading = target.hold('read');
    target.failing.add('release');
    const read = target.read(id, 0, 8);
    await target.erase(id);
    reading.open();
    await read;
    await target.close();
    expect(target.log.lines).toEqual([expect.stringMatching(/^error: /)]);
  });

  test('waits for calls that fail', async () => {
    const target = await openTarget();
    const id = await target.create(8);
    const gate = target.hold('write');
    target.failing.add('write');
    const write = inFlight(target.write(id, 0, Buffer.alloc(8)));
    const closed = target.close();
    expect(await isPending(closed)).toBe(true);
    gate.open();
    await expect(write).rejects.toThrow('write failed');
    await closed;
  });

  test('that fails ends closed all the same, and the target can be opened again', async () => {
    const target = await openTarget();
    target.failing.add('closeStorage');
    await expect(target.close()).rejects.toThrow('closeStorage failed');
    expect(target.state).toBe('closed');
    await target.close();
    expect(target.count('closeStorage')).toBe(1);
    target.failing.clear();
    await target.open();
    expect(target.state).toBe('open');
    await target.create(1);
    await target.close();
  });

  test('is not held up by calls that are refused', async () => {
    const target = await openTarget();
    const id = await target.create(8);
    await target.erase(id);
    await expect(target.read(id, 0, 8)).rejects.toMatchObject({ code: 'REGION_NOT_FOUND' });
    const other = await target.create(8);
    await expect(target.read(other, 0, 9)).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    await expect(target.write(other, 9, Buffer.alloc(0))).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
    await expect(target.readv(other, [{ offset: 0, size: 9 }])).rejects.toMatchObject({
      code: 'OUT_OF_RANGE',
    });
    await target.close();
    expect(target.state).toBe('closed');
  });
});

describe('destroying', () => {
  test('closes first, then deletes', async () => {
    const target = await openTarget();
    await target.destroy();
    expect(target.hooks).toEqual(['openStorage', 'closeStorage', 'destroyStorage']);
    expect(target.state).toBe('closed');
  });

  test('deletes what a closed target has', async () => {
    const target = new ScriptedTarget();
    await target.destroy();
    expect(target.hooks).toEqual(['destroyStorage']);
  });

  test('deletes nothing if closing fails, and nothing under calls in flight', async () => {
    const target = await openTarget();
    const gate = target.hold('usage');
    target.failing.add('closeStorage');
    const stats = target.stats();
    const destroyed = inFlight(target.destroy());
    expect(await isPending(destroyed)).toBe(true);
    expect(target.hooks).toEqual(['openStorage', 'usage']);
    gate.open();
    await stats;
    await expect(destroyed).rejects.toThrow('closeStorage failed');
    expect(target.count('destroyStorage')).toBe(0);
    expect(target.state).toBe('closed');
  });

  test('that fails passes the failure on and ends closed', async () => {
    const target = await openTarget();
    target.failing.add('destroyStorage');
    await expect(target.destroy()).rejects.toThrow('destroyStorage failed');
    expect(target.state).toBe('closed');
  });
});
