import type { Score, Summary } from './evaluate.js';

/** The summary of an evaluation as a table of at most 80 columns. */
export function formatSummary(summary: Summary): string {
  const header = ['operations', 'expressions', 'value right', 'same double', 'plan right'];
  const rows = Object.entries(summary.byOperations).map(([operations, score]) => [
    operations,
    ...cells(score),
  ]);
  const table = [header, ...rows, ['all', ...cells(summary)]];
  const widths = header.map((_, c) => Math.max(...table.map((row) => row[c]!.length)));
  return table.map((row) => row.map((cell, c) => cell.padStart(widths[c]!)).join('  ')).join('\n');
}

function cells({ count, value, exact, plan }: Score): string[] {
  return [String(count), percent(value), percent(exact), percent(plan)];
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(share > 0.999 && share < 1 ? 2 : 1)} %`;
}
