/** Short sequences, of which every state is gone through: each is about one order of the pool. */
import type { KeyChange, Operation, Program, Stage } from './program.js';
import type { PoolShape } from './simulated-pool.js';

export interface Sequence {
  readonly program: Program;
  /** How the pool differs from the usual small one. */
  readonly shape?: Partial<PoolShape>;
  /**
   * The last stage is also run with a kill before each of so many events, and after some of these
   * one in recovery.
   */
  readonly kills?: number;
  /** So much is stored at once that its states are sampled. */
  readonly isLarge?: boolean;
}

const create = (name: string, size: number): Operation => ({ do: 'create', name, size });
const filled = (name: string, size: number): Operation => ({
  do: 'createAndWrite',
  name,
  size,
  persist: true,
});
const unpersisted = (name: string, size: number): Operation => ({ do: 'createAndWrite', name, size });
const erase = (name: string): Operation => ({ do: 'erase', name });
const write = (name: string, offset: number, size: number, persist = false): Operation => ({
  do: 'write',
  name,
  offset,
  size,
  persist,
});
const store = (name: string, offset: number, size: number): Operation => ({
  do: 'store',
  name,
  offset,
  size,
});
const persist = (name: string): Operation => ({ do: 'persist', name });

const atOnce = (...changes: KeyChange[]): Operation => ({ do: 'names', changes });
const put = (key: string, size: number): KeyChange => ({ what: 'put', key, size });
const end = (key: string): KeyChange => ({ what: 'erase', key });
const move = (key: string, to: string): KeyChange => ({ what: 'rename', key, to });
const change = (key: string, offset: number, size: number): KeyChange => ({
  what: 'write',
  key,
  offset,
  size,
});
/** Longer than what is left behind most contents. */
const LONG = `n/${'long'.repeat(20)}`;

const one = (...operations: Operation[]): Stage => ({ lanes: [operations] });
const together = (...lanes: Operation[][]): Stage => ({ lanes });

export const SEQUENCES = {
  'the first region, for which freshFrom is raised': {
    program: [one(filled('a', 24), create('b', 0))],
    kills: 14,
  },
  'a region, its end, and another one in slot and space': {
    program: [one(filled('a', 24)), one(erase('a'), filled('b', 20), erase('b'), unpersisted('c', 30))],
    kills: 20,
  },
  'contents that are not asked to be durable': {
    program: [one(unpersisted('a', 40)), one(unpersisted('b', 24), persist('a'), persist('b'))],
    kills: 8,
  },
  'writes over each other': {
    program: [
      one(filled('a', 40)),
      together(
        [write('a', 0, 16), write('a', 8, 16, true), write('a', 4, 9)],
        [write('a', 12, 20, true), persist('a')],
      ),
    ],
    kills: 10,
  },
  'small and large writes over each other': {
    program: [
      one(filled('a', 700)),
      one(
        write('a', 10, 20, true),
        write('a', 0, 600, true),
        write('a', 300, 30, true),
        write('a', 5, 8),
        persist('a'),
      ),
    ],
    kills: 10,
  },
  'transactions longer than a sector, one like the other': {
    program: [
      one(atOnce(put('n/a', 220)), atOnce(put('n/b', 220)), atOnce(put('n/c', 220))),
      one(
        ...Array.from({ length: 6 }, () =>
          atOnce(change('n/a', 0, 200), change('n/b', 0, 200), change('n/c', 0, 200)),
        ),
      ),
    ],
    kills: 6,
  },
  'stores through a view': {
    program: [
      one(filled('a', 40)),
      one(store('a', 3, 20), store('a', 16, 10), persist('a'), store('a', 0, 8)),
    ],
    kills: 6,
  },
  'an erase beside creations': {
    program: [
      one(filled('a', 24), filled('b', 16)),
      together([erase('a')], [filled('c', 20), filled('d', 24)], [erase('b'), create('e', 16)]),
    ],
    kills: 20,
  },
  'many at once, who share their barriers': {
    program: [
      one(filled('a', 24), filled('b', 24)),
      together(
        [write('a', 0, 20, true), write('a', 0, 20, true)],
        [write('b', 0, 20, true), write('b', 0, 20, true)],
        [filled('c', 9), erase('c')],
        [filled('d', 17)],
        [create('e', 8), write('e', 0, 8, true)],
      ),
    ],
    kills: 12,
  },
  'creations that break off': {
    program: [
      one(filled('a', 24)),
      together([{ do: 'breakOff', size: 40 }, create('b', 40)], [{ do: 'breakOff', size: 24 }]),
    ],
    kills: 10,
  },
  'a pool that is full': {
    program: [
      one(filled('a', 24), create('b', 128), filled('c', 16)),
      together([filled('d', 24), erase('b')], [filled('e', 66)], [create('f', 65)]),
      one(create('g', 128), filled('h', 20)),
    ],
    shape: { space: 256 },
    kills: 6,
  },
  growth: {
    program: [
      one(filled('a', 40)),
      together([filled('b', 65)], [filled('c', 24)]),
      one(erase('b'), create('d', 300), write('d', 250, 20, true)),
    ],
    shape: { space: 128, growth: 512 },
    kills: 5,
  },
  'another chunk of slots': {
    program: [one(filled('a', 8)), together([filled('b', 8), create('c', 8)], [create('d', 0)])],
    shape: { slots: 2, space: 66_560 },
    kills: 4,
    isLarge: true,
  },
  'another chunk, and growth': {
    program: [
      one(filled('a', 8), filled('b', 8), filled('c', 8)),
      one(create('d', 2000), erase('c'), filled('e', 1500)),
    ],
    shape: { slots: 2, space: 66_560, growth: 4096 },
    isLarge: true,
  },
  'another chunk in a directory that is longer than a sector': {
    program: [one(...Array.from({ length: 17 }, (_, nth) => create(`r${nth}`, 0))), one(filled('a', 8))],
    shape: { slots: 1, chunks: 17, space: 66_560 },
    kills: 5,
    isLarge: true,
  },
  'regions of no bytes': {
    program: [
      one(create('a', 0), create('b', 0)),
      together([erase('a'), create('c', 0)], [erase('b'), unpersisted('d', 0)]),
    ],
    kills: 10,
  },
  reopening: {
    program: [
      { lanes: [[filled('a', 24), unpersisted('b', 24), erase('a')]], then: 'reopen' },
      one(filled('c', 24), write('b', 0, 10, true)),
    ],
    kills: 8,
  },
  'the first name': {
    program: [one(atOnce(put('n/a', 24)), atOnce(put('n/a', 30)))],
    shape: { hasNoLogYet: true },
    kills: 20,
  },
  'a put, and others in its place': {
    program: [
      one(atOnce(put('n/a', 24)), filled('r', 20)),
      one(atOnce(put('n/a', 30)), atOnce(put('n/a', 20)), filled('s', 70)),
    ],
    kills: 20,
  },
  'puts, and the end of their name': {
    program: [
      one(atOnce(put('n/a', 24)), atOnce(put('n/b', 0))),
      one(atOnce(put('n/a', 30)), atOnce(end('n/a')), filled('r', 20), atOnce(put('n/b', 24))),
    ],
    kills: 20,
  },
  'the first change of a name, for which the journal is made': {
    program: [one(atOnce(put('n/a', 24)), atOnce(move('n/a', 'n/b')))],
    kills: 20,
  },
  'names that move': {
    program: [
      one(atOnce(put('n/a', 24)), atOnce(put('n/b', 40)), atOnce(move('n/b', 'n/c'))),
      one(atOnce(move('n/a', LONG)), atOnce(put('n/a', 8)), atOnce(move(LONG, 'n/a')), filled('r', 60)),
    ],
    kills: 24,
  },
  'a transaction': {
    program: [
      one(atOnce(put('n/a', 24)), atOnce(put('n/b', 40)), atOnce(put('n/c', 16)), atOnce(move('n/c', 'n/d'))),
      one(
        atOnce(change('n/a', 0, 20), change('n/b', 4, 30), put('n/e', 24), end('n/d'), change('n/a', 8, 16)),
      ),
    ],
    kills: 20,
  },
  'what comes after a transaction, over the same bytes': {
    program: [
      one(atOnce(put('n/a', 24)), atOnce(put('n/b', 24)), atOnce(move('n/b', 'n/c'))),
      one(
        atOnce(change('n/a', 0, 24), change('n/c', 0, 24)),
        atOnce(change('n/a', 0, 20)),
        atOnce(end('n/c')),
        filled('r', 30),
      ),
    ],
    kills: 24,
  },
  'names that others change meanwhile': {
    program: [
      together([atOnce(put('n/a', 24))], [atOnce(put('m/a', 24))], [filled('r', 30)]),
      together(
        [atOnce(put('n/a', 30)), atOnce(put('n/b', 8), change('n/a', 0, 8))],
        [atOnce(put('m/a', 9)), atOnce(end('m/a')), atOnce(put('m/b', 9))],
        [filled('s', 9), erase('r')],
      ),
    ],
    kills: 16,
  },
  'names in a pool that is full': {
    program: [
      one(atOnce(put('n/a', 24)), atOnce(put('n/b', 24)), atOnce(move('n/b', 'n/c'))),
      one(
        atOnce(put('n/a', 200)),
        atOnce(put('n/d', 300)),
        atOnce(move('n/a', LONG)),
        atOnce(put('n/c', 60)),
      ),
      one(atOnce(end('n/a')), atOnce(put('n/c', 128))),
    ],
    shape: { space: 1024 },
    kills: 6,
  },
  'a transaction that also writes no bytes': {
    program: [
      one(atOnce(put('n/a', 24)), atOnce(put('n/b', 0)), atOnce(move('n/a', 'n/c'))),
      one(atOnce(change('n/b', 0, 0), change('n/c', 0, 20), change('n/c', 24, 0))),
    ],
    kills: 10,
  },
  'transactions for which the journal has to grow': {
    program: [
      one(atOnce(put('n/a', 700)), atOnce(move('n/a', 'n/b'))),
      one(atOnce(change('n/b', 0, 600), change('n/b', 600, 40)), filled('r', 60)),
    ],
    shape: { space: 4096 },
    kills: 6,
    isLarge: true,
  },
  'a region too large to be cleared at once': {
    program: [
      one(create('a', 2 ** 20 + 4096), write('a', 2 ** 20, 40)),
      one(persist('a'), erase('a'), create('b', 2 ** 20)),
    ],
    shape: { space: 2 ** 20 + 8192 },
    isLarge: true,
  },
} satisfies Record<string, Sequence>;

export type SequenceTitle = keyof typeof SEQUENCES;

/** A sequence as it is, and with each of its kills. */
export function programsOf({ program, kills = 0 }: Sequence): Program[] {
  const programs: Program[] = [program];
  const last = program.at(-1) as Stage;
  for (let killAfter = 0; killAfter < kills; killAfter++) {
    const then = killAfter % 3 === 2 ? { killAfter, killRecoveryAfter: killAfter % 5 } : { killAfter };
    programs.push([...program.slice(0, -1), { ...last, then }, one(filled('z', 40), erase('z'))]);
  }
  return programs;
}
