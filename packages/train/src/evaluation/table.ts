import { requireArguments } from '../arguments.js';
import type { Score, Summary } from './evaluate.js';
import { BINS } from './reliability.js';

const SCORE = {
  count: 'a number',
  value: 'a number',
  intervals: { value: 'a list', plan: 'a list' },
} as const;

/** Formats the summary of an evaluation as a table of at most 80 columns, with shares in percent; below it refused texts and the error of confidences. */
export function formatSummary(summary: Summary): string {
  requireArguments('formatSummary', {
    summary: [
      summary,
      {
        ...SCORE,
        byOperations: 'an object',
        byDigits: 'an object',
        byNesting: 'an object',
        byStyle: 'an object',
      },
    ],
  });
  const scores = table([
    ...rows('operations', summary.byOperations),
    ...rows('digits', summary.byDigits),
    ...rows('nesting', summary.byNesting),
    ...rows('', summary.byStyle),
    ['all', summary],
  ]);
  const { refused, reliability } = summary;
  const below = [
    // Without plans the table has a column for it.
    refused > 0 &&
      hasPlans(summary) &&
      `refused: ${percent(refused)} of the texts, whose values count as wrong`,
    reliability &&
      `expected calibration error: ${percent(reliability.ece)} (${BINS} bins of equal width, ${reliability.count} texts)`,
  ].filter(Boolean);
  return below.length ? `${scores}\n\n${below.join('\n')}` : scores;
}

/** Formats named scores as the same table. */
export function formatScores(scores: Readonly<Record<string, Score>>): string {
  requireArguments('formatScores', { scores: [scores, 'an object'] });
  for (const [name, score] of Object.entries(scores))
    requireArguments('formatScores', { [`scores.${name}`]: [score, SCORE] });
  return table(Object.entries(scores));
}

const rows = (name: string, scores: Readonly<Record<string, Score>>): [string, Score][] => {
  const entries = Object.entries(scores);
  // A single group equals the last line, `all`.
  return entries.length < 2 ? [] : entries.map(([key, score]) => [`${name} ${key}`.trim(), score]);
};

const HEADER = ['', 'texts', 'value', '(95 %)', 'exact'];
const OF_PLANS = ['plan', 'V_mag', 'V_sign', 'O', 'G'];
/** Of models that refuse texts, whose own plans are not known. */
const OF_REFUSALS = ['wrong', 'refused'];

function table(lines: readonly [string, Score][]): string {
  const refuses = lines.some(([, score]) => score.refused > 0) && !lines.some(([, score]) => hasPlans(score));
  const header = [...HEADER, ...(refuses ? OF_REFUSALS : OF_PLANS)];
  const cells = [header, ...lines.map(([name, score]) => [name, ...cellsOf(score, refuses)])];
  const widths = header.map((_, c) => cells.reduce((most, row) => Math.max(most, row[c]!.length), 0));
  return cells
    .map((row) =>
      row.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]!) : cell.padStart(widths[c]!))).join(' '),
    )
    .join('\n');
}

function cellsOf(score: Score, refuses: boolean): string[] {
  const { count, value, refused, exact, plan, digits, signs, operands, domains, intervals } = score;
  const [low, high] = intervals.value;
  const ofPlans = [plan, digits, signs, operands, domains];
  return [
    String(count),
    number(value),
    `${number(low)}–${number(high)}`,
    number(exact),
    ...(refuses
      ? [number(Math.max(0, 1 - value - refused)), number(refused)]
      : ofPlans.map(hasPlans(score) ? number : () => '–')),
  ];
}

/** Whether any answer had a known plan. If none had, the interval is [0, 1]. */
function hasPlans({ intervals: { plan } }: Score): boolean {
  return plan[1] - plan[0] < 1;
}

/** Percent with one decimal; two above 99, where differences are small. */
function number(share: number): string {
  return (100 * share).toFixed(share > 0.99 && share < 1 ? 2 : 1);
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(share > 0.999 && share < 1 ? 2 : 1)} %`;
}
