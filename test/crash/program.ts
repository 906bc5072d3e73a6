/** What is done to a pool in a test: stages, one after the other, of lanes that run at the same time. */
import type { Random } from '../fixtures/random.js';

/** A region by the name that its creation gave it, or any one of those that are known: the n-th, modulo their number. */
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
  | { readonly do: 'erase'; readonly name: Name };

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
  const operation = (): Operation => {
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
    for (let left = 1 + random.below(operations); left > 0; left--) random.pick(lanes).push(operation());
    return { lanes, ...(random.chance(0.4) && { then: randomEnd(random) }) };
  });
}

function randomEnd(random: Random): Exclude<Stage['then'], undefined> {
  if (random.chance(0.2)) return 'reopen';
  const killAfter = random.below(40);
  return random.chance(0.4) ? { killAfter, killRecoveryAfter: random.below(8) } : { killAfter };
}
