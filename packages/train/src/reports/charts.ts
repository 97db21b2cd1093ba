import { z } from 'zod';
import { interval } from '../evaluation/evaluate.js';
import type { Reliability } from '../evaluation/reliability.js';
import type { MetricsRecord } from '../run/metrics.js';

/** A chart of values over steps, or over shares, drawn by the page's script. */
export interface Chart {
  readonly title: string;
  readonly note: string;
  /** `share`: drawn in percent, from 0 to 100; `small-share`: in percent, from 0 to the largest value. */
  readonly scale: 'log' | 'linear' | 'share' | 'small-share';
  /** What `steps` are: steps of the run, or shares, drawn in percent from 0 to 100. */
  readonly x: 'step' | 'confidence' | 'coverage';
  /** Whether the series have an order (such as the number of operations) that their colours should show. */
  readonly ordered: boolean;
  /** Increasing. */
  readonly steps: readonly number[];
  readonly series: readonly Series[];
}

export interface Series {
  readonly name: string;
  /** Series of the same group have the same colour. */
  readonly group: number;
  /** `faint`: the single values behind a smoothed line; `high` and `low`, in this order: a band. */
  readonly role: 'line' | 'faint' | 'high' | 'low';
  /** One value per step; null if missing. */
  readonly values: readonly (number | null)[];
}

export interface Charts {
  readonly loss: readonly Chart[];
  readonly heldOut: readonly Chart[];
  readonly optimiser: readonly Chart[];
}

/** What one step processes, for throughput: texts, or micro-batches for a task of your own. */
export interface PerStep {
  readonly count: number;
  readonly unit: 'texts' | 'micro-batches';
}

/** Keys of a logged step that are not components of the loss. */
const NO_COMPONENTS = new Set(['step', 'loss', 'lr', 'gradNorm', 'stepMs']);

/** Metrics of an evaluation that are shares and drawn in one chart; any other number has its own chart. */
const SHARES = ['value', 'exact', 'plan'];

const scores = z.record(z.string(), z.looseObject({ count: z.number(), value: z.number() }));
const evaluation = z.looseObject({ byOperations: scores.optional() });

/** Most points per chart: more would exceed the screen's resolution, and take megabytes of page and minutes for medians. */
const MOST_POINTS = 5000;

/** At most `MOST_POINTS` evenly spaced records, including the last. */
function thinned<T>(records: readonly T[]): readonly T[] {
  const every = Math.ceil(records.length / MOST_POINTS);
  return records.filter((_, i) => (records.length - 1 - i) % every === 0);
}

/**
 * The charts of a run: one for each number that its metrics have, so it works for any task. Of more than `MOST_POINTS` logged steps an
 * evenly spaced selection is drawn.
 */
export function chartsOf(records: readonly MetricsRecord[], perStep: PerStep): Charts {
  const logged = thinned(records.filter((record) => !('heldOut' in record)));
  const evaluations = records.flatMap(({ step, heldOut }) => {
    const read = evaluation.safeParse(heldOut);
    return read.success ? [{ step, heldOut: read.data }] : [];
  });
  return {
    loss: lossCharts(logged),
    heldOut: heldOutCharts(evaluations),
    optimiser: optimiserCharts(logged, perStep),
  };
}

function lossCharts(logged: readonly MetricsRecord[]): Chart[] {
  const steps = logged.map(({ step }) => step);
  const components = namesIn(logged).filter((name) => !NO_COMPONENTS.has(name));
  const loss = { name: 'loss', values: column(logged, 'loss') };
  const parts = components.map((name) => ({ name, values: column(logged, name) }));
  return [
    smoothChart('Total loss', 'of single training steps', steps, [loss]),
    smoothChart('Loss by component', 'unweighted', steps, parts),
  ].filter(hasValues);
}

function optimiserCharts(logged: readonly MetricsRecord[], perStep: PerStep): Chart[] {
  const steps = logged.map(({ step }) => step);
  const perSecond = column(logged, 'stepMs').map((ms) => ms && (perStep.count * 1000) / ms);
  return [
    chart('Learning rate', '', steps, [line('lr', column(logged, 'lr'))], 'linear'),
    smoothChart('Gradient norm', 'before clipping', steps, [
      { name: 'norm', values: column(logged, 'gradNorm') },
    ]),
    smoothChart(
      'Throughput',
      `${perStep.unit} per second, including waits for data`,
      steps,
      [{ name: `${perStep.unit}/s`, values: perSecond }],
      'linear',
    ),
  ].filter(hasValues);
}

type Evaluated = { readonly step: number; readonly heldOut: z.infer<typeof evaluation> };

function heldOutCharts(evaluations: readonly Evaluated[]): Chart[] {
  const steps = evaluations.map(({ step }) => step);
  const fields = evaluations.map(({ heldOut }) => heldOut);
  const names = namesIn(fields);
  const shares = SHARES.filter((name) => names.includes(name));
  const byOperations = fields.map(({ byOperations }) => byOperations ?? {});
  const counts = [...new Set(byOperations.flatMap(Object.keys))].sort((a, b) => Number(a) - Number(b));
  const course = counts.map((n, i) =>
    line(
      operations(n),
      byOperations.map((by) => by[n]?.value ?? null),
      i,
    ),
  );
  const right = shares.map((name, i) => line(name, column(fields, name), i));
  const band = shares.includes('value') ? valueBand(fields) : [];
  return [
    chart(
      'Held-out accuracy',
      band.length ? 'band: 95 % confidence of value' : '',
      steps,
      [...band, ...right],
      'share',
    ),
    {
      ...chart('Held-out accuracy by number of operations', 'values right', steps, course, 'share'),
      ordered: true,
    },
    ...names
      .filter((name) => !SHARES.includes(name))
      .map((name) => chart(`Held-out ${spaced(name)}`, '', steps, [line(name, column(fields, name))])),
  ].filter(hasValues);
}

/** The confidence band of the share of right values; empty if an evaluation does not have the number of answers. */
function valueBand(fields: readonly Evaluated['heldOut'][]): Series[] {
  const bounds = fields.map(({ value, byOperations }) => {
    if (!byOperations || typeof value !== 'number') return null;
    return interval(
      value,
      Object.values(byOperations).reduce((n, { count }) => n + count, 0),
    );
  });
  if (bounds.includes(null)) return [];
  const bound = (role: 'low' | 'high', i: 0 | 1): Series => ({
    name: role,
    group: 0,
    role,
    values: bounds.map((b) => b && b[i]),
  });
  return [bound('high', 1), bound('low', 0)];
}

/** The reliability diagram and the risk–coverage curve. */
export function confidenceCharts({ bins, riskCoverage, ece, count }: Reliability): Chart[] {
  const confidences = bins.map(({ confidence }) => confidence);
  // The diagonal goes from corner to corner.
  const ends = [0, 1].filter((end) => !confidences.includes(end));
  const x = [...confidences, ...ends].sort((a, b) => a - b);
  const at = (read: (bin: Reliability['bins'][number]) => number) =>
    x.map((c) => {
      const bin = bins.find(({ confidence }) => confidence === c);
      return bin ? read(bin) : null;
    });
  const bound = (i: 0 | 1) => at(({ right, count }) => interval(right, count)[i]);
  const percents = `${Number((100 * ece).toPrecision(2))} %`;
  return [
    {
      ...chart(
        'Reliability',
        `right answers by confidence, ${count} texts; band: 95 % confidence; faint: as they should be; expected calibration error ${percents}`,
        x,
        [
          { name: 'high', group: 0, role: 'high', values: bound(1) },
          { name: 'low', group: 0, role: 'low', values: bound(0) },
          { name: 'diagonal', group: 7, role: 'faint', values: x },
          line(
            'right',
            at(({ right }) => right),
          ),
        ],
        'share',
      ),
      x: 'confidence',
    },
    {
      ...chart(
        'Risk and coverage',
        'share of wrong answers where only the surest texts are answered',
        riskCoverage.map(({ coverage }) => coverage),
        [line('wrong', riskCoverage.map(({ risk }) => risk))], // prettier-ignore
        'small-share',
      ),
      x: 'coverage',
    },
  ];
}

/** `textLoss` as `text loss`. */
const spaced = (name: string): string => name.replaceAll(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`);

const operations = (n: string): string => `${n} operation${n === '1' ? '' : 's'}`;

type Named = { readonly name: string; readonly values: readonly (number | null)[] };

const line = (name: string, values: Series['values'], group = 0): Series => ({
  name,
  group,
  role: 'line',
  values,
});

function chart(
  title: string,
  note: string,
  steps: readonly number[],
  series: readonly Series[],
  scale: Chart['scale'] = 'log',
): Chart {
  const values = series.flatMap((s) => s.values).filter((v) => v !== null);
  // A logarithmic scale needs positive values: zeros become gaps; with negative values the scale is linear.
  if (scale !== 'log' || values.some((v) => v < 0) || values.every((v) => v === 0))
    return {
      title,
      note,
      scale: scale === 'log' ? 'linear' : scale,
      ordered: false,
      x: 'step',
      steps,
      series,
    };
  const positive = series.map((s) => ({ ...s, values: s.values.map((v) => (v === 0 ? null : v)) }));
  return { title, note, scale, ordered: false, x: 'step', steps, series: positive };
}

/** A chart of noisy series: logged values are drawn faintly behind their running median. */
function smoothChart(
  title: string,
  note: string,
  steps: readonly number[],
  given: readonly Named[],
  scale: Chart['scale'] = 'log',
): Chart {
  const reach = Math.floor(steps.length / 50);
  const known = given.filter(({ values }) => values.some((v) => v !== null));
  const lines = known.map(({ name, values }, i) => line(name, smooth(values, reach), i));
  if (reach === 0) return chart(title, note, steps, lines, scale);
  const faint = known.map(({ name, values }, group): Series => ({ name, group, role: 'faint', values }));
  const median = `lines: median of ${2 * reach + 1} logged steps`;
  return chart(title, [note, median].filter(Boolean).join('; '), steps, [...faint, ...lines], scale);
}

/** The running median over each value and up to `reach` neighbours on each side (the same number on both). */
function smooth(values: readonly (number | null)[], reach: number): (number | null)[] {
  return values.map((value, i) => {
    const side = Math.min(reach, i, values.length - 1 - i);
    const near = values.slice(i - side, i + side + 1).filter((v) => v !== null);
    return value === null ? null : median(near);
  });
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const hasValues = ({ series }: Chart): boolean => series.some(({ values }) => values.some((v) => v !== null));

/** The names of all numeric fields of the records, in order of appearance. */
function namesIn(records: readonly Readonly<Record<string, unknown>>[]): string[] {
  const numbers = records.flatMap((record) =>
    Object.keys(record).filter((name) => typeof record[name] === 'number'),
  );
  return [...new Set(numbers)];
}

function column(records: readonly Readonly<Record<string, unknown>>[], name: string): (number | null)[] {
  return records.map((record) => {
    const value = record[name];
    return typeof value === 'number' && Number.isFinite(value) ? value : null;
  });
}
