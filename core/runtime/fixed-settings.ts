/**
 * Settings that a running daemon cannot change: addresses, users, the limits of its doors and
 * queries, the log.
 */
import { isDeepStrictEqual } from 'node:util';
import type { BedrockConfig } from '../../schemas/generated/bedrock.js';
import { isRecord, plainOf } from '../base/plain.js';
import { type ConfigPath, formatPath } from '../validation/issues.js';

/** The settings under `bedrock` that can change, besides `log.level`. New ones are fixed. */
const CHANGEABLE: ReadonlySet<string> = new Set(['pool', 'drain_timeout_ms', 'start_timeout_ms']);

/**
 * @returns what differs between two resolved configurations, each with its path and the reason why
 *   it cannot change
 */
export function fixedDifferences(before: BedrockConfig, after: BedrockConfig): string[] {
  const fixed = ({ margo, bedrock = {} }: BedrockConfig): unknown =>
    plainOf({
      margo: { mercury: { address: margo?.mercury?.address } },
      bedrock: {
        ...Object.fromEntries(Object.entries(bedrock).filter(([key]) => !CHANGEABLE.has(key))),
        log: { file: bedrock.log?.file, format: bedrock.log?.format },
      },
    });
  return [...differing(fixed(before), fixed(after), [])].map(
    (path) => `${formatPath(path)} cannot change while the daemon runs; restart it`,
  );
}

function* differing(before: unknown, after: unknown, path: ConfigPath): Generator<ConfigPath> {
  if (isDeepStrictEqual(before, after)) return;
  if (!isRecord(before) || !isRecord(after)) {
    yield path;
    return;
  }
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
    yield* differing(before[key], after[key], [...path, key]);
}
