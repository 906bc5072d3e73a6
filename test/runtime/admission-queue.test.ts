/** Execution pools: who runs, who waits, who is refused, and that no place is ever lost. */
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { ExecutionPool } from '../../core/contract/execution-pool.js';
import { AdmissionQueue } from '../../core/runtime/admission-queue.js';

const poolOf = (maxInFlight: number, maxQueued = 100): ExecutionPool =>
  new AdmissionQueue('p', { maxInFlight, maxQueued });

/** An operation that runs until it is let go. */
class Gate {
  isRunning = false;
  #finish: (() => void) | undefined;
  #fail: ((error: Error) => void) | undefined;

  readonly operation = (): Promise<void> => {
    this.isRunning = true;
    return new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
  };

  finish(): Promise<void> {
    this.#finish?.();
    return turn();
  }

  fail(): Promise<void> {
    this.#fail?.(new Error('the operation went wrong'));
    return turn();
  }
}

async function* numbers(count: number): AsyncGenerator<number> {
  for (let number = 0; number < count; number++) {
    await turn();
    yield number;
  }
}

function expectIdle(executionPool: ExecutionPool): void {
  expect([executionPool.inFlight, executionPool.queued]).toEqual([0, 0]);
}

describe('run', () => {
  it('gives what the operation gives, be it at once or later', async () => {
    const executionPool = poolOf(1);
    await expect(executionPool.run(() => 1)).resolves.toBe(1);
    await expect(executionPool.run(() => Promise.resolve(2))).resolves.toBe(2);
    expectIdle(executionPool);
  });

  it('runs no more operations at once than it may, and the next as soon as one ends', async () => {
    const executionPool = poolOf(2);
    const gates = [new Gate(), new Gate(), new Gate(), new Gate()];
    const all = gates.map(({ operation }) => executionPool.run(operation));
    expect(gates.map(({ isRunning }) => isRunning)).toEqual([true, true, false, false]);
    expect([executionPool.inFlight, executionPool.queued]).toEqual([2, 2]);
    await gates[1]?.finish();
    expect(gates.map(({ isRunning }) => isRunning)).toEqual([true, true, true, false]);
    expect([executionPool.inFlight, executionPool.queued]).toEqual([2, 1]);
    await gates[0]?.finish();
    await gates[2]?.finish();
    await gates[3]?.finish();
    await Promise.all(all);
    expectIdle(executionPool);
  });

  it('lets those that wait in by the order in which they came, thousands of them', async () => {
    const executionPool = poolOf(3, 5000);
    const order: number[] = [];
    const operations = Array.from({ length: 5000 }, (_, number) =>
      executionPool.run(async () => {
        order.push(number);
        if (number % 7 === 0) await turn();
      }),
    );
    await Promise.all(operations);
    expect(order).toEqual(order.toSorted((one, other) => one - other));
    expect(order).toHaveLength(5000);
    expectIdle(executionPool);
  });

  it('hands a place over: a newcomer does not overtake those that wait', async () => {
    const executionPool = poolOf(1);
    const order: string[] = [];
    const gate = new Gate();
    const first = executionPool.run(gate.operation);
    const waiting = executionPool.run(() => order.push('waiting'));
    const newcomer = first.then(() => executionPool.run(() => order.push('newcomer')));
    await gate.finish();
    await Promise.all([waiting, newcomer]);
    expect(order).toEqual(['waiting', 'newcomer']);
    expectIdle(executionPool);
  });

  it('refuses with OVERLOADED what would have to wait behind too many, and does not run it', async () => {
    const executionPool = poolOf(1, 2);
    const gate = new Gate();
    const running = executionPool.run(gate.operation);
    const waiting = [executionPool.run(() => 1), executionPool.run(() => 2)];
    let hasRun = false;
    const refused = executionPool.run(() => (hasRun = true));
    await expect(refused).rejects.toMatchObject({
      code: 'OVERLOADED',
      details: { pool: 'p', maxInFlight: 1, maxQueued: 2 },
    });
    await gate.finish();
    await expect(Promise.all([running, ...waiting])).resolves.toEqual([undefined, 1, 2]);
    expect(hasRun).toBe(false);
    await expect(executionPool.run(() => 3)).resolves.toBe(3);
    expectIdle(executionPool);
  });

  it('lets nobody wait where the limit is 0', async () => {
    const executionPool = poolOf(1, 0);
    const gate = new Gate();
    const running = executionPool.run(gate.operation);
    await expect(executionPool.run(() => 1)).rejects.toMatchObject({ code: 'OVERLOADED' });
    await gate.finish();
    await running;
    await expect(executionPool.run(() => 1)).resolves.toBe(1);
  });

  it('gives the place back when the operation throws, at once or later', async () => {
    const executionPool = poolOf(1);
    const broken = new Error('the operation went wrong');
    const thrower = (): never => {
      throw broken;
    };
    await expect(executionPool.run(thrower)).rejects.toBe(broken);
    await expect(executionPool.run(() => Promise.reject(broken))).rejects.toBe(broken);
    const gate = new Gate();
    const failing = executionPool.run(gate.operation);
    const next = executionPool.run(() => 'next');
    const outcome = expect(failing).rejects.toThrow();
    await gate.fail();
    await outcome;
    await expect(next).resolves.toBe('next');
    expectIdle(executionPool);
  });

  it('may be used from within an operation', async () => {
    const executionPool = poolOf(2);
    await expect(executionPool.run(() => executionPool.run(() => 'inner'))).resolves.toBe('inner');
    expectIdle(executionPool);
  });
});

describe('resume', () => {
  it('waits its turn, but is not refused', async () => {
    const executionPool = poolOf(1, 0);
    const gate = new Gate();
    const running = executionPool.run(gate.operation);
    const resumed = executionPool.resume(() => 'resumed');
    expect(executionPool.queued).toBe(1);
    await gate.finish();
    await running;
    await expect(resumed).resolves.toBe('resumed');
    expectIdle(executionPool);
  });
});

describe('pace', () => {
  it('gives on every item, in order', async () => {
    const executionPool = poolOf(1);
    const items: number[] = [];
    for await (const item of executionPool.pace(numbers(5))) items.push(item);
    expect(items).toEqual([0, 1, 2, 3, 4]);
    expectIdle(executionPool);
  });

  it('holds a place while an item is used, and none while the next is awaited', async () => {
    const executionPool = poolOf(1);
    const held: number[] = [];
    async function* watched(): AsyncGenerator<number> {
      for (let number = 0; number < 3; number++) {
        held.push(executionPool.inFlight);
        await turn();
        yield number;
      }
    }
    for await (const item of executionPool.pace(watched())) {
      expect(executionPool.inFlight).toBe(1);
      expect(item).toBeLessThan(3);
    }
    expect(held).toEqual([0, 0, 0]);
    expectIdle(executionPool);
  });

  it('takes turns with others', async () => {
    const executionPool = poolOf(1);
    const order: string[] = [];
    const paced = async (name: string): Promise<void> => {
      for await (const item of executionPool.pace(numbers(3))) {
        order.push(`${name}${item}`);
        await turn();
      }
    };
    await Promise.all([paced('a'), paced('b')]);
    expect(order.filter((entry) => entry.startsWith('a'))).toEqual(['a0', 'a1', 'a2']);
    expect(order.filter((entry) => entry.startsWith('b'))).toEqual(['b0', 'b1', 'b2']);
    expect(order.indexOf('b0')).toBeLessThan(order.indexOf('a2'));
    expectIdle(executionPool);
  });

  it('gives the place back when the consumer stops early, and ends the source', async () => {
    const executionPool = poolOf(1);
    let isEnded = false;
    async function* source(): AsyncGenerator<number> {
      try {
        yield* numbers(5);
      } finally {
        isEnded = true;
      }
    }
    for await (const item of executionPool.pace(source())) {
      if (item === 2) break;
    }
    expect(isEnded).toBe(true);
    expectIdle(executionPool);
  });

  it('gives the place back when the consumer throws', async () => {
    const executionPool = poolOf(1);
    const broken = new Error('the consumer went wrong');
    const consume = async (): Promise<void> => {
      for await (const item of executionPool.pace(numbers(5))) if (item === 1) throw broken;
    };
    await expect(consume()).rejects.toBe(broken);
    await expect(executionPool.run(() => 'next')).resolves.toBe('next');
    expectIdle(executionPool);
  });

  it('gives the place back when the source throws', async () => {
    const executionPool = poolOf(1);
    const broken = new Error('the source went wrong');
    async function* source(): AsyncGenerator<number> {
      yield* numbers(2);
      throw broken;
    }
    const items: number[] = [];
    const consume = async (): Promise<void> => {
      for await (const item of executionPool.pace(source())) items.push(item);
    };
    await expect(consume()).rejects.toBe(broken);
    expect(items).toEqual([0, 1]);
    expectIdle(executionPool);
  });

  it('hands its place to the next when it is left while it waits for its turn', async () => {
    const executionPool = poolOf(1);
    const gate = new Gate();
    const running = executionPool.run(gate.operation);
    const paced = executionPool.pace(numbers(3));
    const first = paced.next();
    await turn();
    await turn();
    const left = paced.return(undefined);
    const next = executionPool.run(() => 'next');
    await gate.finish();
    await Promise.all([running, first, left]);
    await expect(next).resolves.toBe('next');
    expectIdle(executionPool);
  });
});
