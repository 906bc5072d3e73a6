/** The calls of a connection that wait for their replies, in the order in which they were made: a ring. */
import type { Call } from './call.js';

const FIRST_LENGTH = 64;

export class CallsInOrder {
  #ring: (Call<unknown> | undefined)[] = new Array<Call<unknown> | undefined>(FIRST_LENGTH).fill(undefined);
  #mask = FIRST_LENGTH - 1;
  #first = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The one whose reply comes next. */
  get first(): Call<unknown> | undefined {
    return this.#ring[this.#first];
  }

  push(call: Call<unknown>): void {
    if (this.#length > this.#mask) this.#grow();
    this.#ring[(this.#first + this.#length) & this.#mask] = call;
    this.#length++;
  }

  /** Takes the first one out. */
  shift(): Call<unknown> | undefined {
    const call = this.#ring[this.#first];
    if (call === undefined) return undefined;
    this.#ring[this.#first] = undefined;
    this.#first = (this.#first + 1) & this.#mask;
    this.#length--;
    return call;
  }

  #grow(): void {
    const { length } = this.#ring;
    const grown = new Array<Call<unknown> | undefined>(2 * length).fill(undefined);
    for (let index = 0; index < length; index++)
      grown[index] = this.#ring[(this.#first + index) & this.#mask];
    this.#ring = grown;
    this.#mask = 2 * length - 1;
    this.#first = 0;
  }
}
