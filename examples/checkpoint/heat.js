/** Heat that spreads over a square plate whose left edge is kept hot: Jacobi's iteration, the simulation of every textbook. */

export class Plate {
  /** @param {number} side cells of an edge @param {Float64Array} [cells] those of a checkpoint */
  constructor(side, cells = new Float64Array(side * side)) {
    if (cells.length !== side * side)
      throw new Error(`the checkpoint has ${cells.length} cells, and a plate of ${side} has ${side * side}`);
    this.side = side;
    /** @type {Float64Array} */
    this.cells = cells;
    this.#next = new Float64Array(side * side);
  }

  /** @type {Float64Array} */
  #next;

  step() {
    const { side, cells } = this;
    const next = this.#next;
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        const at = row * side + column;
        if (column === 0) next[at] = 100;
        else if (row === 0 || row === side - 1 || column === side - 1) next[at] = 0;
        else
          next[at] =
            (Number(cells[at - 1]) +
              Number(cells[at + 1]) +
              Number(cells[at - side]) +
              Number(cells[at + side])) /
            4;
      }
    }
    [this.cells, this.#next] = [next, cells];
  }

  /** Mean temperature of all cells. */
  get mean() {
    return this.cells.reduce((sum, cell) => sum + cell, 0) / this.cells.length;
  }
}
