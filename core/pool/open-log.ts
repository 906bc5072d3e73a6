/**
 * What the open of a pool logs about its state. `bedrock pool check` reports everything; an open
 * logs a part, and takes no time for it.
 */
import type { Logger } from '../base/logging.js';
import type { Finding } from './findings.js';
import type { PoolMedium } from './medium.js';

/** How many findings get their own line. */
const MAX_LOGGED_FINDINGS = 20;

/** Bytes beyond the capacity that are examined. */
const MAX_EXCESS_BYTES = 2 ** 20;

/**
 * Logs the first findings with all that is known of the loss. There is a limit, as damage may have
 * hit every slot.
 * @returns the messages of those that were logged
 */
export function logFindings(logger: Logger, findings: Iterable<Finding>, quarantined: number): string[] {
  const told: string[] = [];
  let found = 0;
  for (const { message, ...facts } of findings) {
    // Nobody waits until millions of findings are put into words.
    if (++found > MAX_LOGGED_FINDINGS) break;
    told.push(message);
    logger.warning(message, facts);
  }
  if (found === 0) return told;
  const more =
    found <= MAX_LOGGED_FINDINGS
      ? ''
      : `there are more findings than the ${MAX_LOGGED_FINDINGS} shown, and ${quarantined} slots are set aside in total; `;
  logger.warning(
    `${more}what is damaged is set aside, and everything else is served: see \`bedrock pool check\` and \`bedrock pool repair\``,
  );
  return told;
}

/** Logs that there are bytes beyond the capacity. Only examines what costs nothing. */
export async function logExcess(logger: Logger, medium: PoolMedium, capacity: number): Promise<void> {
  const length = Math.min(medium.size - capacity, MAX_EXCESS_BYTES);
  if (length <= 0 || ((await medium.isZero?.(capacity, length)) ?? true)) return;
  logger.warning(
    `the pool's file is longer than its capacity of ${capacity} bytes, and holds bytes after it, such as those of a larger pool that a smaller backup was ` +
      'written over; they belong to no region, and become zeros before the pool grows over them',
  );
}
