/** Times, for people. */
import { MAX_TIME_MS } from '../base/clock.js';

/**
 * In UTC, as in ISO 8601; a time outside the calendar's range as a number.
 * @param milliseconds since the epoch
 */
export function formatTime(milliseconds: number): string {
  if (milliseconds > MAX_TIME_MS) return `${milliseconds} ms after 1970`;
  return new Date(milliseconds).toISOString();
}
