/**
 * What goes wrong with the medium in a round, at moments that the seed says: it is full for a
 * while, and refuses some of what it is asked to store or to give space; or a flush fails, and
 * nobody knows what is durable. In most rounds nothing does.
 */
import type { Schedule } from './schedule.js';

type Kind = 'none' | 'full' | 'lost';

const KINDS: readonly Kind[] = ['none', 'none', 'none', 'full', 'lost'];
/** Steps of a round in which something may begin to fail, and how long a medium is full at most. */
const BEGINS_WITHIN = 200;
const FULL_FOR = 80;

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: as the round has it`), { code });
}

export class Failures {
  #kind: Kind = 'none';
  #from = 0;
  #to = 0;
  #hasFailed = false;
  #usesJournal = false;

  constructor(private readonly schedule: Schedule) {}

  /** A medium is to be used that may fail. */
  begin(): void {
    const { random, now } = this.schedule;
    this.#kind = random.pick(KINDS);
    this.#from = now + random.below(BEGINS_WITHIN);
    this.#to = this.#from + random.below(FULL_FOR);
  }

  /** From now on it does what it is asked. */
  end(): void {
    this.#to = 0;
    if (this.#kind === 'lost') this.#from = Infinity;
  }

  /** It was opened anew. */
  forget(): void {
    this.#kind = 'none';
    this.#hasFailed = false;
    this.#usesJournal = false;
  }

  /**
   * A change goes through a journal. Where it is committed, and its bytes find no room, the medium
   * has failed.
   */
  journal(): void {
    this.#usesJournal = true;
  }

  /** Whether a log may tell of failures. */
  get mayBeTold(): boolean {
    return this.#kind !== 'none';
  }

  /** Whether it takes no more changes, of some of which nobody knows what has become. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Whether a change that was refused with this code may have been made all the same. */
  areUncertain(code: string): boolean {
    if (code !== 'READ_ONLY') return false;
    if (this.#kind === 'full' && this.#usesJournal) this.#hasFailed = true;
    return this.#hasFailed;
  }

  /** Of something that needs room. @returns what it fails with, if it does */
  store(): Error | undefined {
    const { random, now } = this.schedule;
    if (this.#kind !== 'full' || now < this.#from || now >= this.#to || random.below(2) === 0)
      return undefined;
    return failure('ENOSPC');
  }

  /** Of something that makes durable. @returns what it fails with, if it does */
  flush(): Error | undefined {
    if (this.#kind !== 'lost' || this.#hasFailed || this.schedule.now < this.#from) return undefined;
    this.#hasFailed = true;
    return failure('EIO');
  }
}
