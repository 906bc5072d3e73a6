/** Figures as text for readers. All lengths of time are milliseconds, all sizes bytes. */

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** @param {number | null | undefined} count */
export function bytes(count) {
  if (count === null || count === undefined) return '—';
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < SIZES.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${SIZES[unit]}`;
}

const plain = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/** @param {number | null | undefined} value */
export function count(value) {
  if (value === null || value === undefined) return '—';
  return value < 100_000 ? plain.format(value) : short.format(value);
}

/** @param {number | undefined} value */
export function perSecond(value) {
  return value === undefined ? '—' : `${count(value)}/s`;
}

/** @param {number | undefined} value */
export function bytesPerSecond(value) {
  return value === undefined ? '—' : `${bytes(value)}/s`;
}

/** @param {number | undefined} ms a latency; above all bounds it is infinite */
export function latency(ms) {
  if (ms === undefined) return '—';
  if (ms === Infinity) return '> 30 s';
  if (ms < 1) return `${plain.format(ms * 1000)} µs`;
  return ms < 1000 ? `${plain.format(ms)} ms` : `${plain.format(ms / 1000)} s`;
}

/** @param {number | undefined} part from 0 to 1 */
export function percent(part) {
  return part === undefined ? '—' : `${(part * 100).toFixed(1)} %`;
}

/** @param {number} ms */
export function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** @param {number} ms since the epoch */
export function moment(ms) {
  return new Date(ms).toISOString().replace('T', ' ').slice(0, 19);
}
