/**
 * A catalogue of results: each has a number, labels and bytes, and is found by its number and by each of its labels.
 *
 * | name | bytes |
 * |---|---|
 * | `results/NUMBER` | the labels as one line of JSON, then the bytes |
 * | `labels/LABEL/NUMBER` | none |
 *
 * A result and the entries of its labels appear, and go, in one transaction. So the entries never name a result that is not there, whatever
 * ends the process.
 */
import { BedrockError } from 'bedrock-node';

/** @import { Change, Target } from 'bedrock-node' */
/** @typedef {{ number: number, labels: string[], bytes: Uint8Array }} Result */

const RESULTS = 'results/';
const DIGITS = 12;

export class Catalogue {
  #target;

  /** @param {Target} target a `named` and `transactional` one, local or of another daemon */
  constructor(target) {
    this.#target = target;
  }

  /**
   * Adds a result; durable when this resolves, if the target is persistent.
   * @param {Uint8Array} bytes @param {readonly string[]} labels without slashes
   * @returns {Promise<number>} its number, higher than those of all results that are there
   */
  async add(bytes, labels) {
    const distinct = [...new Set(labels)];
    for (const label of distinct)
      if (label === '' || label.includes('/'))
        throw new Error(`"${label}" is not a label: it is empty or has a slash`);
    for (;;) {
      const number = (await this.#last()) + 1;
      const head = Buffer.from(`${JSON.stringify(distinct)}\n`);
      /** @type {Change[]} */
      const changes = [
        { type: 'expect', name: resultName(number), id: null },
        { type: 'put', name: resultName(number), contents: Buffer.concat([head, bytes]) },
        ...distinct.map(
          (label) =>
            /** @type {const} */ ({
              type: 'put',
              name: labelName(label, number),
              contents: new Uint8Array(),
            }),
        ),
      ];
      try {
        await this.#target.transact(changes);
        return number;
      } catch (error) {
        // Somebody else took the number meanwhile.
        if (codeOf(error) !== 'CONDITION_FAILED') throw error;
      }
    }
  }

  /** @param {number} number @returns {Promise<Result | undefined>} */
  async get(number) {
    try {
      const { id, size } = await this.#target.find(resultName(number));
      const stored = Buffer.from(await this.#target.read(id, 0, size));
      const end = stored.indexOf('\n');
      return { number, labels: JSON.parse(String(stored.subarray(0, end))), bytes: stored.subarray(end + 1) };
    } catch (error) {
      if (codeOf(error) === 'REGION_NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** Numbers of the results that have a label, in rising order. @param {string} label @returns {AsyncGenerator<number>} */
  async *withLabel(label) {
    const prefix = labelName(label);
    /** @type {string | undefined} */
    let after;
    do {
      const page = await this.#target.names({ prefix, ...(after !== undefined && { after }) });
      for (const { name } of page.names) yield Number(name.slice(prefix.length));
      after = page.next;
    } while (after !== undefined);
  }

  /** All labels in use. @returns {Promise<string[]>} */
  async labels() {
    const labels = [];
    /** @type {string | undefined} */
    let after;
    do {
      const page = await this.#target.names({
        prefix: 'labels/',
        delimiter: '/',
        ...(after !== undefined && { after }),
      });
      labels.push(...page.prefixes.map((prefix) => prefix.slice('labels/'.length, -1)));
      after = page.next;
    } while (after !== undefined);
    return labels;
  }

  /** @param {number} number @returns {Promise<boolean>} whether there was such a result */
  async remove(number) {
    const result = await this.get(number);
    if (result === undefined) return false;
    const names = [resultName(number), ...result.labels.map((label) => labelName(label, number))];
    try {
      await this.#target.transact(names.map((name) => ({ type: 'erase', ref: name })));
      return true;
    } catch (error) {
      // Somebody else removed it meanwhile.
      if (codeOf(error) === 'REGION_NOT_FOUND') return false;
      throw error;
    }
  }

  /** The highest number in use; 0 if there is none. A name has the same length for each number, so the order of names is theirs. */
  async #last() {
    let least = 0;
    let above = 10 ** DIGITS;
    // Halved until no result lies between: 40 calls, where a list would need one for each 1,000 results.
    while (above - least > 1) {
      const middle = Math.floor((least + above) / 2);
      const { names } = await this.#target.names({
        prefix: RESULTS,
        after: resultName(middle - 1),
        limit: 1,
      });
      if (names.length > 0) least = Number(names[0]?.name.slice(RESULTS.length));
      else above = middle;
    }
    return least;
  }
}

/** @param {number} number */
function resultName(number) {
  return `${RESULTS}${String(number).padStart(DIGITS, '0')}`;
}

/** @param {string} label @param {number} [number] */
function labelName(label, number) {
  return `labels/${label}/${number === undefined ? '' : String(number).padStart(DIGITS, '0')}`;
}

/** @param {unknown} error */
function codeOf(error) {
  return error instanceof BedrockError ? error.code : undefined;
}
