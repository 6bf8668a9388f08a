/** Middle and ends of some measurements. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** NaN in all places when there are none. */
export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const half = sorted.length / 2;
  return { median: sorted.length % 2 === 1 ? at(Math.floor(half)) : (at(half - 1) + at(half)) / 2, min: at(0), max: at(sorted.length - 1) };
}

/** Median (min–max); a dash where nothing was measured. */
export function spreadText({ median, min, max }: Spread, digits: number): string {
  if (Number.isNaN(median)) return '–';
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

/** Rows as columns of equal width, the first row a heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ').trimEnd()).join('\n');
}
