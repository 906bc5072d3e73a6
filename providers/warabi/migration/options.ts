/** The options of a migration, as a request gives them. */
import { BedrockError, type MigrateRequest } from '../../../core/index.js';
import { COMPARED_BYTES } from './wire.js';

export interface MigrateOptions {
  /** Bytes of one request to the destination. */
  readonly transfer_size: number;
  /** Most bytes to send in a second; 0: no limit. */
  readonly max_bytes_per_second: number;
  /**
   * Whether the data here is deleted when the destination serves it. Otherwise the file is left,
   * and serves nobody.
   */
  readonly remove_source: boolean;
  /** Gives up a migration that is not finished: the destination is emptied, and the provider here serves. */
  readonly abandon: boolean;
  /** How long changes may wait for the last pass, milliseconds. */
  readonly max_hold_ms: number;
  /** Folder of the destination's files, if the migration creates the destination: successor.ts. */
  readonly new_root?: string;
  /** How the destination's settings differ from those here, if the migration creates it. */
  readonly merge_config?: Readonly<Record<string, unknown>>;
}

/** The values of each option, and its default. docs/migration.md has the same table. */
export const MIGRATE_OPTIONS: Record<keyof MigrateOptions, OptionRule> = {
  transfer_size: { least: 4096, most: COMPARED_BYTES },
  max_bytes_per_second: { least: 0, most: Number.MAX_SAFE_INTEGER },
  remove_source: 'boolean',
  abandon: 'boolean',
  max_hold_ms: { least: 10, most: 600_000 },
  new_root: 'path',
  merge_config: 'object',
};

/** A whole number in a range, or a value of that kind. */
type OptionRule = 'boolean' | 'path' | 'object' | { readonly least: number; readonly most: number };

const DEFAULT_HOLD_MS = 2000;

/**
 * @param transferSize default of `transfer_size`
 * @throws INVALID_ARGUMENT, which names all faults
 */
export function optionsOf(
  { options, removeSource }: Pick<MigrateRequest, 'options' | 'removeSource'>,
  transferSize: number,
): MigrateOptions {
  const faults = Object.entries(options).flatMap(([name, value]) => faultOf(name, value));
  if (faults.length > 0)
    throw new BedrockError('INVALID_ARGUMENT', `the options of a migration are wrong: ${faults.join('; ')}`);
  const given = options as Partial<MigrateOptions>;
  return {
    transfer_size: given.transfer_size ?? transferSize,
    max_bytes_per_second: given.max_bytes_per_second ?? 0,
    remove_source: given.remove_source ?? removeSource,
    abandon: given.abandon ?? false,
    max_hold_ms: given.max_hold_ms ?? DEFAULT_HOLD_MS,
    ...(given.new_root !== undefined && { new_root: given.new_root }),
    ...(given.merge_config !== undefined && { merge_config: given.merge_config }),
  };
}

function faultOf(name: string, value: unknown): string[] {
  if (!Object.hasOwn(MIGRATE_OPTIONS, name))
    return [
      `there is no option ${JSON.stringify(name.slice(0, 64))}; there are ${Object.keys(MIGRATE_OPTIONS).join(', ')}`,
    ];
  const rule = MIGRATE_OPTIONS[name as keyof MigrateOptions];
  if (rule === 'path')
    return typeof value === 'string' && value !== '' && !value.includes('\0')
      ? []
      : [`${name} must be a path: a string without zero bytes`];
  if (rule === 'object')
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? []
      : [`${name} must be an object`];
  if (rule === 'boolean') return typeof value === 'boolean' ? [] : [`${name} must be true or false`];
  const { least, most } = rule;
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most) return [];
  return [`${name} must be a whole number from ${least} to ${most}`];
}
