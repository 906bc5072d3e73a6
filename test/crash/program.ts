/** What is done to a pool in a test: stages, one after the other, of lanes that run at the same time. */
import type { Random } from '../fixtures/random.js';

/**
 * A region by the name that its creation gave it, or any one of those that are known: the n-th,
 * modulo their number.
 */
export type Name = string | number;

export type Operation =
  | { readonly do: 'create'; readonly name: string; readonly size: number }
  | {
      readonly do: 'createAndWrite';
      readonly name: string;
      readonly size: number;
      readonly persist?: boolean;
    }
  /** A creation whose source fails half-way. */
  | { readonly do: 'breakOff'; readonly size: number }
  | {
      readonly do: 'write';
      readonly name: Name;
      readonly offset: number;
      readonly size: number;
      readonly persist?: boolean;
    }
  /** Stores through a view; a plain write where there are none. */
  | { readonly do: 'store'; readonly name: Name; readonly offset: number; readonly size: number }
  | { readonly do: 'persist'; readonly name: Name }
  | { readonly do: 'erase'; readonly name: Name }
  | { readonly do: 'names'; readonly changes: readonly KeyChange[] };

/**
 * What is done by name. A key is `DOMAIN/REST`, and only one lane at a time has to do with a
 * domain. One change is made by the call that it is named after, several by `transact`.
 */
export type KeyChange =
  | { readonly what: 'put'; readonly key: string; readonly size: number }
  | { readonly what: 'erase'; readonly key: string }
  | { readonly what: 'rename'; readonly key: string; readonly to: string }
  | { readonly what: 'write'; readonly key: string; readonly offset: number; readonly size: number };

export interface Stage {
  readonly lanes: readonly (readonly Operation[])[];
  /** What follows: closing and opening; a kill, after so many events on the medium or at the end; nothing. */
  readonly then?: 'reopen' | { readonly killAfter: number; readonly killRecoveryAfter?: number };
}

export type Program = readonly Stage[];

/** Sizes around the edges of words, lines, sectors and extents. */
const SIZES = [0, 1, 7, 8, 9, 24, 63, 64, 65, 100, 128, 200, 511, 512, 513, 700];

export interface ProgramOptions {
  readonly stages: number;
  /** Operations of one stage. */
  readonly operations: number;
  readonly prefix: string;
}

export function randomProgram(random: Random, { stages, operations, prefix }: ProgramOptions): Program {
  let made = 0;
  const keyChange = (lane: number): KeyChange => {
    const key = randomKey(random, lane);
    switch (random.below(6)) {
      case 0:
        return { what: 'erase', key };
      case 1:
        return { what: 'rename', key, to: randomKey(random, lane) };
      case 2:
        return { what: 'write', key, offset: random.below(40), size: random.below(80) };
      default:
        return { what: 'put', key, size: random.pick(SIZES) };
    }
  };
  const operation = (lane: number): Operation => {
    if (random.chance(0.4)) {
      const count = random.chance(0.5) ? 1 : 2 + random.below(3);
      return { do: 'names', changes: Array.from({ length: count }, () => keyChange(lane)) };
    }
    const any = random.below(1 << 20);
    const size = random.pick(SIZES);
    const persist = random.chance(0.5);
    const name = `${prefix}${made}`;
    switch (random.below(11)) {
      case 0:
        made++;
        return { do: 'create', name, size };
      case 1:
      case 2:
      case 3:
        made++;
        return { do: 'createAndWrite', name, size, persist };
      case 4:
        return { do: 'breakOff', size };
      case 5:
      case 6:
        return { do: 'write', name: any, offset: random.below(40), size: random.below(80), persist };
      case 7:
        return { do: 'store', name: any, offset: random.below(40), size: random.below(30) };
      case 8:
        return { do: 'persist', name: any };
      default:
        return { do: 'erase', name: any };
    }
  };
  return Array.from({ length: stages }, (): Stage => {
    const lanes = Array.from({ length: 1 + random.below(4) }, () => [] as Operation[]);
    for (let left = 1 + random.below(operations); left > 0; left--) {
      const lane = random.below(lanes.length);
      lanes[lane]?.push(operation(lane));
    }
    return { lanes, ...(random.chance(0.4) && { then: randomEnd(random) }) };
  });
}

function randomEnd(random: Random): Exclude<Stage['then'], undefined> {
  if (random.chance(0.2)) return 'reopen';
  const killAfter = random.below(40);
  return random.chance(0.4) ? { killAfter, killRecoveryAfter: random.below(8) } : { killAfter };
}

/** One of three of a lane: two that fit behind most contents, and one that does not. */
function randomKey(random: Random, lane: number): string {
  return `d${lane}/${random.pick(['a', 'b', 'c'.repeat(70)])}`;
}
