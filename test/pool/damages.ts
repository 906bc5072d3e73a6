/** What can happen to the bytes of a pool: each kind of damage changes them somewhere, as a seed says. */
import { encodeDescriptor } from '../../core/pool/descriptor.js';
import type { Chunk } from '../../core/pool/chunk-directory.js';
import type { MemoryMedium } from './memory-medium.js';
import type { PoolWorld } from './pool-world.js';
import type { Random } from '../fixtures/random.js';

const PAGE = 4096;
const DESCRIPTOR = 64;

export interface DamageContext {
  readonly medium: MemoryMedium;
  readonly world: PoolWorld;
  /** Another pool. */
  readonly other: PoolWorld;
  readonly random: Random;
}

type Damage = (context: DamageContext) => void;

/** Where the truth of a pool stands; only there does damage matter. */
function placeOfTruth({ world, random }: DamageContext): number {
  if (random.below(3) === 0) return random.below(2 * PAGE);
  const { offset, count } = random.pick(world.header.chunks);
  return offset + random.below(count * DESCRIPTOR);
}

function pageOfTruth(context: DamageContext): number {
  return Math.floor(placeOfTruth(context) / PAGE) * PAGE;
}

function descriptorPlace({ header }: PoolWorld, slot: number): number {
  const chunk = header.chunks.find(({ firstSlot, count }) => slot < firstSlot + count) as Chunk;
  return chunk.offset + (slot - chunk.firstSlot) * DESCRIPTOR;
}

function anySlot({ world, random }: DamageContext): number {
  return random.below(3) === 0
    ? random.below(world.header.chunks.reduce((sum, { count }) => sum + count, 0))
    : random.pick(world.regions).id.slot;
}

function clear({ bytes }: MemoryMedium, offset: number, length: number): void {
  bytes.fill(0, Math.min(offset, bytes.length), Math.min(offset + length, bytes.length));
}

/** A copy of a part of another state of a pool. */
function bring(
  { medium }: DamageContext,
  from: Uint8Array,
  offset: number,
  length: number,
  to = offset,
): void {
  medium.bytes.set(
    from.subarray(offset, Math.min(offset + length, from.length)).subarray(0, Math.max(0, medium.size - to)),
    Math.min(to, medium.size),
  );
}

export const DAMAGES: Record<string, Damage> = {
  'flipped bits': (context) => {
    const { medium, random } = context;
    for (let count = 1 + random.below(4); count > 0; count--) {
      const at = placeOfTruth(context);
      if (at < medium.size) medium.bytes[at] = (medium.bytes[at] as number) ^ (1 << random.below(8));
    }
  },
  'a flipped bit in word 0 or the extent of a region': (context) => {
    const { medium, random, world } = context;
    const at = descriptorPlace(world, random.pick(world.regions).id.slot) + random.below(24);
    if (at < medium.size) medium.bytes[at] = (medium.bytes[at] as number) ^ (1 << random.below(8));
  },
  'a file cut off': (context) => {
    const { medium, random, world } = context;
    const edges = [
      0,
      PAGE,
      2 * PAGE,
      ...world.header.chunks.flatMap(({ offset, count }) => [offset, offset + count * DESCRIPTOR]),
    ];
    const extents = world.regions.map(({ offset, size }) => offset + size);
    const edge = random.pick([...edges, ...extents, random.below(medium.size + 1)]);
    medium.truncate(Math.min(medium.size, Math.max(0, edge - 2 + random.below(5))));
  },
  'a page of zeros': (context) => {
    const at = pageOfTruth(context);
    clear(context.medium, at, PAGE);
  },
  'a page of garbage': (context) => {
    const { medium, random } = context;
    const at = pageOfTruth(context);
    for (let index = at; index < Math.min(at + PAGE, medium.size); index++)
      medium.bytes[index] = random.below(256);
  },
  'two pages swapped': (context) => {
    const { medium } = context;
    const [one, two] = [pageOfTruth(context), pageOfTruth(context)];
    const kept = Buffer.from(medium.bytes.subarray(one, one + PAGE));
    bring(context, Buffer.from(medium.bytes), two, PAGE, one);
    bring(context, Buffer.concat([Buffer.alloc(two), kept]), two, kept.length);
  },
  'a page of another pool': (context) => bring(context, context.other.bytes, pageOfTruth(context), PAGE),
  'an older page': (context) =>
    bring(context, context.random.pick(context.world.past), pageOfTruth(context), PAGE),
  'older headers': (context) => bring(context, context.random.pick(context.world.past), 0, 2 * PAGE),
  'one older header': (context) =>
    bring(context, context.random.pick(context.world.past), context.random.below(2) * PAGE, PAGE),
  'a page that cannot be read': (context) => {
    const at = pageOfTruth(context);
    if (at < context.medium.size) context.medium.lostPages.add(at / PAGE);
  },
  'a descriptor in another slot': (context) => {
    const { medium, world } = context;
    const [from, to] = [descriptorPlace(world, anySlot(context)), descriptorPlace(world, anySlot(context))];
    bring(context, Buffer.from(medium.bytes), from, DESCRIPTOR, to);
  },
  'an older descriptor': (context) =>
    bring(
      context,
      context.random.pick(context.world.past),
      descriptorPlace(context.world, anySlot(context)),
      DESCRIPTOR,
    ),
  'a whole descriptor that lies': (context) => {
    const { medium, world, random } = context;
    const slot = anySlot(context);
    const { alignment, capacity } = world.header;
    const { offset, size } = random.pick(world.regions);
    const [lyingOffset, lyingSize] = random.pick<[number, number]>([
      [offset, size + 1],
      [offset + alignment, 100],
      [offset + 32, 10],
      [random.below(capacity), random.below(4 * PAGE)],
      [random.below(capacity / alignment) * alignment, random.below(4 * PAGE)],
      [capacity - alignment, alignment + 1],
      [2 ** 45, 2 ** 45],
      [0, 8192],
    ]);
    const bytes = new Uint8Array(DESCRIPTOR);
    encodeDescriptor(bytes, 0, slot, world.header, 1 + random.below(5), lyingOffset, lyingSize, 1);
    const place = descriptorPlace(world, slot);
    if (place + DESCRIPTOR <= medium.size) medium.bytes.set(bytes, place);
  },
  'zeros for a descriptor': (context) => {
    const at = descriptorPlace(context.world, anySlot(context));
    clear(context.medium, at, DESCRIPTOR);
  },
  'garbage from somewhere to the end': (context) => {
    const { medium, random } = context;
    if (random.below(4) > 0) return;
    const garbage = Buffer.from(Array.from({ length: PAGE - 1 }, () => random.below(256)));
    if (medium.size > 0) medium.bytes.fill(garbage, random.below(medium.size));
  },
};
