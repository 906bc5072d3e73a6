/**
 * The counting commands of Redis, as steps. Values are decimal 64-bit integers, or have a fraction
 * for INCRBYFLOAT.
 */
import type { Arguments } from './arguments.js';
import { Contents } from './contents.js';
import { LongDouble } from './long-double.js';
import { NOT_AN_INTEGER, RedisFault } from './redis-fault.js';
import { integerAt, LEAST, MOST } from './redis-integers.js';
import type { Step, Stepping } from './step.js';
import { nameOf } from './steps.js';

/** Characters of the longest integer. */
export const INTEGER_LENGTH = 20;
/** The most characters that Redis accepts for a number with a fraction. */
const FLOAT_LENGTH = 5 * 1024 - 1;

const NOT_A_FLOAT = 'value is not a valid float';

async function addTo(args: Arguments, at: Stepping, amount: bigint): Promise<bigint> {
  const name = nameOf(args, 1);
  const contents = await at.view.contents(name);
  const before = contents === undefined ? 0 : await integerIn(contents, at);
  const sum = added(before, amount);
  at.view.put(name, Contents.of(Buffer.from(String(sum), 'latin1')));
  return sum;
}

async function integerIn(contents: Contents, { view }: Stepping): Promise<number | bigint> {
  // A longer value is not an integer, and need not be read.
  if (contents.size > INTEGER_LENGTH) throw new RedisFault(NOT_AN_INTEGER);
  const bytes = await view.read(contents);
  const value = integerAt(bytes, 0, bytes.length);
  if (value === undefined) throw new RedisFault(NOT_AN_INTEGER);
  return value;
}

/** @throws RedisFault */
export function added(before: number | bigint, amount: number | bigint): bigint {
  const sum = BigInt(before) + BigInt(amount);
  if (sum < LEAST || sum > MOST) throw new RedisFault('increment or decrement would overflow');
  return sum;
}

export const incr: Step = async (args, at) => addTo(args, at, 1n);

export const decr: Step = async (args, at) => addTo(args, at, -1n);

export const incrBy: Step = async (args, at) => addTo(args, at, BigInt(args.integer(2)));

export const decrBy: Step = async (args, at) => {
  const amount = BigInt(args.integer(2));
  if (amount === LEAST) throw new RedisFault('decrement would overflow');
  return addTo(args, at, -amount);
};

export const incrByFloat: Step = async (args, at) => {
  const name = nameOf(args, 1);
  const contents = await at.view.contents(name);
  const before = contents === undefined ? LongDouble.zero : await floatIn(contents, at);
  const amount = floatOf(args.bytes(2));
  const sum = before.plus(amount);
  if (!sum.isFinite) throw new RedisFault('increment would produce NaN or Infinity');
  const text = Buffer.from(sum.toString(), 'latin1');
  at.view.put(name, Contents.of(text));
  return text;
};

async function floatIn(contents: Contents, { view }: Stepping): Promise<LongDouble> {
  if (contents.size > FLOAT_LENGTH) throw new RedisFault(NOT_A_FLOAT);
  return floatOf(await view.read(contents));
}

function floatOf(bytes: Uint8Array): LongDouble {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
  const value = text.length > FLOAT_LENGTH ? undefined : LongDouble.parse(text);
  if (value === undefined) throw new RedisFault(NOT_A_FLOAT);
  return value;
}
