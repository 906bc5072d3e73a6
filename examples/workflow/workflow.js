/**
 * A workflow that goes on where it was: the result of each step is stored when the step ends, and a workflow that is started again takes
 * stored results instead of running their steps.
 *
 * A step is run again if the process ended before its result was stored. So a step that has an effect outside the workflow must be able
 * to run twice.
 */
import { BedrockError } from 'bedrock-node';

/** @import { Target } from 'bedrock-node' */

export class Workflow {
  #target;
  #prefix;
  /** @type {Set<string>} */
  #names = new Set();

  /**
   * @param {Target} target a `named` one, local or of another daemon
   * @param {string} run a name for this run, without slashes; each run has results of its own
   */
  constructor(target, run) {
    // Otherwise the results of the run "a/b" would be among those of the run "a".
    if (run === '' || run.includes('/'))
      throw new Error(`"${run}" is not a name for a run: it is empty or has a slash`);
    this.#target = target;
    this.#prefix = `workflow/${run}/`;
  }

  /**
   * The result of a step: the stored one, or what `work` returns, which is durable when this resolves.
   * @template T
   * @param {string} name unique in the workflow @param {() => Promise<T> | T} work returns what JSON can hold
   * @returns {Promise<T>}
   */
  async step(name, work) {
    if (this.#names.has(name)) throw new Error(`the workflow has two steps with the name "${name}"`);
    this.#names.add(name);
    const stored = await this.#stored(name);
    if (stored !== undefined) return stored.result;
    const result = await work();
    // The same whether it was stored now or before.
    const json = JSON.stringify({ result });
    try {
      await this.#target.put(this.#prefix + name, Buffer.from(json), { if: 'absent' });
    } catch (error) {
      if (codeOf(error) !== 'NAME_TAKEN') throw error;
      // Another process runs the same workflow and was faster. Its result counts for both.
      return (await this.#stored(name))?.result;
    }
    return JSON.parse(json).result;
  }

  /** Erases all results of the run. Up to 1,000 of them go together: all or none. */
  async forget() {
    const { names, next } = await this.#target.names({ prefix: this.#prefix });
    if (names.length > 0) await this.#target.transact(names.map(({ id }) => ({ type: 'erase', ref: id })));
    if (next !== undefined) await this.forget();
  }

  /** @param {string} name */
  async #stored(name) {
    try {
      const { id, size } = await this.#target.find(this.#prefix + name);
      return JSON.parse(String(Buffer.from(await this.#target.read(id, 0, size))));
    } catch (error) {
      if (codeOf(error) !== 'REGION_NOT_FOUND') throw error;
      return undefined;
    }
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return error instanceof BedrockError ? error.code : undefined;
}
