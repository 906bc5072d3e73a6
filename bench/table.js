/**
 * Rows of results: {section, name, unit, ours, reference, referenceName, ratio}. Where the
 * reference is not installed, it and the ratio are null.
 */

/** The middle one of some figures. */
export function median(figures) {
  const sorted = [...figures].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * A row; the ratio is ours to the reference, whatever the unit. Without a reference it has been
 * left out as absent.
 */
export function row(section, name, unit, ours, reference, referenceName) {
  if (reference === undefined)
    return { section, name, unit, ours, reference: null, referenceName, ratio: null };
  return { section, name, unit, ours, reference, referenceName, ratio: ours / reference };
}

/** The rows as a table for people. */
export function formatTable(title, rows) {
  const head = [title, 'unit', 'ours', 'reference', 'against', 'ratio'];
  const cells = rows.map(({ name, unit, ours, reference, referenceName, ratio }) => [
    name,
    unit,
    figure(ours),
    reference === null ? 'absent' : figure(reference),
    referenceName,
    ratio === null ? '' : ratioText(ratio),
  ]);
  const widths = head.map((text, column) =>
    Math.max(text.length, ...cells.map((line) => line[column].length)),
  );
  const line = (texts) =>
    texts
      .map((text, column) =>
        /^[\d.]+$/.test(text) ? text.padStart(widths[column]) : text.padEnd(widths[column]),
      )
      .join('  ');
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...cells.map(line)].join('\n');
}

export function ratioText(ratio) {
  return ratio < 0.1 ? ratio.toPrecision(2) : ratio.toFixed(2);
}

export function figure(value) {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}

export function sizeText(size) {
  if (size < 1024) return `${size} B`;
  if (size < 2 ** 20) return `${size / 1024} KiB`;
  return size < 2 ** 30 ? `${size / 2 ** 20} MiB` : `${size / 2 ** 30} GiB`;
}
