/** Sizes for people, in binary units. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** 65536 is `64.0 KiB`. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // Not 1024: what would be rounded up to it belongs to the next unit.
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit] ?? ''}`;
}
