/**
 * Extents in the order of their offsets, a million of them in tens of milliseconds and without an object each.
 *
 * Radix sort, lowest digit first (Knuth, The Art of Computer Programming 3, 5.2.5), of offsets counted in alignments: as many passes as
 * the highest offset has digits of 11 bits, two or three for most pools.
 */
const DIGIT = 2 ** 11;

export interface OrderedOffsets {
  /** The offsets from the lowest to the highest, counted in alignments. */
  readonly units: Float64Array;
  /** Where each of them stood; equal ones keep their order. */
  readonly order: Uint32Array;
}

/** @param offsets multiples of the alignment; the array is used up, as at a million every other one counts */
export function orderByOffset(offsets: Float64Array, alignment: number): OrderedOffsets {
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
  const places = new Uint32Array(DIGIT);
  for (let weight = 1; weight <= highest; weight *= DIGIT) {
    const scale = 1 / weight;
    places.fill(0);
    for (let index = 0; index < count; index++) {
      const digit = digitOf(units[index] as number, scale);
      (places[digit] as number)++;
    }
    let place = 0;
    for (let digit = 0; digit < DIGIT; digit++) {
      const next = place + (places[digit] as number);
      places[digit] = place;
      place = next;
    }
    for (let index = 0; index < count; index++) {
      const unit = units[index] as number;
      const to = (places[digitOf(unit, scale)] as number)++;
      sortedUnits[to] = unit;
      sortedOrder[to] = order[index] as number;
    }
    [units, sortedUnits] = [sortedUnits, units];
    [order, sortedOrder] = [sortedOrder, order];
  }
  return { units, order };
}

/** The bit operation cuts off the fraction, and all but the low 32 bits of what is left. */
function digitOf(unit: number, scale: number): number {
  return (unit * scale) & (DIGIT - 1);
}
