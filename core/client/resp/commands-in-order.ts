/**
 * A queue of commands, in the order in which they were made: those that wait for their replies, or
 * to be sent. It is a ring buffer.
 */
import type { Command } from './command.js';

const FIRST_LENGTH = 64;

export class CommandsInOrder<C extends Command<unknown> = Command<unknown>> {
  #ring: (C | undefined)[] = new Array<C | undefined>(FIRST_LENGTH).fill(undefined);
  #mask = FIRST_LENGTH - 1;
  #first = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The next command. */
  get first(): C | undefined {
    return this.#ring[this.#first];
  }

  push(command: C): void {
    if (this.#length > this.#mask) this.#grow();
    this.#ring[(this.#first + this.#length) & this.#mask] = command;
    this.#length++;
  }

  /** Removes the first command. */
  shift(): C | undefined {
    const command = this.#ring[this.#first];
    if (command === undefined) return undefined;
    this.#ring[this.#first] = undefined;
    this.#first = (this.#first + 1) & this.#mask;
    this.#length--;
    return command;
  }

  #grow(): void {
    const { length } = this.#ring;
    const grown = new Array<C | undefined>(2 * length).fill(undefined);
    for (let index = 0; index < length; index++)
      grown[index] = this.#ring[(this.#first + index) & this.#mask];
    this.#ring = grown;
    this.#mask = 2 * length - 1;
    this.#first = 0;
  }
}
