/** Times, for people. */
import { MAX_TIME_MS } from '../base/clock.js';

/** In UTC, as ISO 8601 has it; what no calendar reaches, as a number. @param milliseconds since the epoch */
export function formatTime(milliseconds: number): string {
  if (milliseconds > MAX_TIME_MS) return `${milliseconds} ms after 1970`;
  return new Date(milliseconds).toISOString();
}
