/**
 * Who may look a name up, and who may change which region it means: many at a time the one, one at a time the other, in the order in
 * which they came. Names have nothing to do with each other.
 */

/** Calls that have a name at the same time. */
class Turn {
  calls = 0;
  end = () => {};
  /** @type {Promise<void>} */
  ended = new Promise((resolve) => (this.end = resolve));

  /** @param {boolean} isShared @param {Promise<void> | undefined} before the end of the turn before */
  constructor(isShared, before) {
    this.isShared = isShared;
    this.before = before;
  }
}

export class NameTurns {
  /** The last turn of each name that somebody has or waits for. @type {Map<string, Turn>} */
  #last = new Map();

  /** Waits until a name may be looked up. @param {string} name @returns {Promise<() => void>} what ends it */
  look(name) {
    return this.#take(name, true);
  }

  /** Waits until a name may be changed. @param {string} name @returns {Promise<() => void>} what ends it */
  change(name) {
    return this.#take(name, false);
  }

  /** @param {string} name @param {boolean} isShared */
  async #take(name, isShared) {
    let turn = this.#last.get(name);
    if (turn === undefined || !turn.isShared || !isShared) {
      turn = new Turn(isShared, turn?.ended);
      this.#last.set(name, turn);
    }
    const own = turn;
    own.calls++;
    await own.before;
    return () => {
      if (--own.calls > 0) return;
      if (this.#last.get(name) === own) this.#last.delete(name);
      own.end();
    };
  }
}
