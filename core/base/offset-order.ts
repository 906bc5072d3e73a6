/**
 * Sorts extents by offset: a million in tens of milliseconds, without an object for each.
 *
 * It is a radix sort, lowest digit first (Knuth, The Art of Computer Programming 3, 5.2.5), of
 * offsets counted in alignments. It takes one pass for each 11-bit digit of the highest offset: two
 * or three for most pools.
 */
const DIGIT = 2 ** 11;

export interface OrderedOffsets {
  /** The offsets from the lowest to the highest, counted in alignments. */
  readonly units: Float64Array;
  /** The original position of each of them. Equal ones keep their order. */
  readonly order: Uint32Array;
}

/**
 * @param offsets multiples of the alignment. The array is overwritten, as a second one for a
 *   million offsets would cost too much
 */
export function orderByOffset(offsets: Float64Array, alignment: number): OrderedOffsets {
  const steps = orderInSteps(offsets, alignment);
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  return step.value;
}

/** The same in steps, each of which goes through the offsets at most twice. */
export function* orderInSteps(
  offsets: Float64Array,
  alignment: number,
): Generator<undefined, OrderedOffsets, undefined> {
  const count = offsets.length;
  let units: Float64Array = offsets;
  let order = new Uint32Array(count);
  let highest = 0;
  for (let index = 0; index < count; index++) {
    const unit = (offsets[index] as number) / alignment;
    units[index] = unit;
    order[index] = index;
    if (unit > highest) highest = unit;
  }
  let sortedUnits: Float64Array = new Float64Array(count);
  let sortedOrder = new Uint32Array(count);
  const starts = new Uint32Array(DIGIT);
  for (let weight = 1; weight <= highest; weight *= DIGIT) {
    yield;
    const scale = 1 / weight;
    starts.fill(0);
    for (let index = 0; index < count; index++) {
      const digit = digitOf(units[index] as number, scale);
      (starts[digit] as number)++;
    }
    let start = 0;
    for (let digit = 0; digit < DIGIT; digit++) {
      const next = start + (starts[digit] as number);
      starts[digit] = start;
      start = next;
    }
    for (let index = 0; index < count; index++) {
      const unit = units[index] as number;
      const to = (starts[digitOf(unit, scale)] as number)++;
      sortedUnits[to] = unit;
      sortedOrder[to] = order[index] as number;
    }
    [units, sortedUnits] = [sortedUnits, units];
    [order, sortedOrder] = [sortedOrder, order];
  }
  return { units, order };
}

/** The bit operation cuts off the fraction, and all but the low 32 bits of the rest. */
function digitOf(unit: number, scale: number): number {
  return (unit * scale) & (DIGIT - 1);
}
