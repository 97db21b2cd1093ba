import { z } from 'zod';
import { percent } from '../evaluation/table.js';
import type { MetricsRecord } from '../run/metrics.js';
import { median, type PerStep } from './charts.js';

/** A figure of a run that stands at the top of its page. */
export interface Tile {
  readonly name: string;
  readonly value: string;
  readonly note: string;
}

/** What is known beside the metrics. */
export interface Facts {
  readonly maxSteps: number;
  /** The step of its last checkpoint, which may be later than the last line. */
  readonly savedStep: number;
  readonly perStep: PerStep;
  /** Weights of the model; null where it was not loaded. */
  readonly parameters: number | null;
}

const number = z.number().nullish();
const line = z.looseObject({
  step: z.number(),
  loss: number,
  stepMs: number,
  heldOut: z.looseObject({ value: number, exact: number, textLoss: number }).nullish(),
  /** What decides which held-out data was asked. */
  evaluation: z.looseObject({ seed: number, examples: number }).nullish(),
});
type Line = z.infer<typeof line>;

/** The figures that the lines of a run have: of none that it does not hold. */
export function tilesOf(records: readonly MetricsRecord[], facts: Facts): Tile[] {
  const lines = records.flatMap((record) => line.safeParse(record).data ?? []);
  const { maxSteps, savedStep, parameters } = facts;
  const steps = records.reduce((most, { step }) => Math.max(most, step), savedStep);
  return [
    { name: 'Steps', value: whole(steps), note: `of ${whole(maxSteps)}` },
    ...heldOutTiles(lines),
    ...lossTile(lines),
    ...throughputTile(lines, facts.perStep),
    ...(parameters === null ? [] : [{ name: 'Parameters', value: whole(parameters), note: 'weights' }]),
  ];
}

/**
 * The best of what a model is judged by: right values, or values written exactly, and the loss on text; of the evaluations on the
 * data of the last one.
 */
function heldOutTiles(all: readonly Line[]): Tile[] {
  const asked = ({ evaluation }: Line): string => `${evaluation?.seed} ${evaluation?.examples}`;
  const last = all.findLast(({ heldOut }) => heldOut);
  const lines = all.filter((one) => last && asked(one) === asked(last));
  const value = bestOf(lines, ({ heldOut }) => heldOut?.value);
  const exact = value ? null : bestOf(lines, ({ heldOut }) => heldOut?.exact);
  const loss = bestOf(lines, ({ heldOut }) =>
    typeof heldOut?.textLoss === 'number' ? -heldOut.textLoss : null,
  );
  const tile = (name: string, value: string, what: string, { step }: Line): Tile[] => [
    { name, value, note: `${what}at step ${whole(step)}` },
  ];
  return [
    ...(value ? tile('Best held-out score', percent(value.score), 'values right, ', value.line) : []),
    ...(exact ? tile('Best held-out score', percent(exact.score), 'values exact, ', exact.line) : []),
    ...(loss ? tile('Best held-out text loss', short(-loss.score), '', loss.line) : []),
  ];
}

/** The line of the highest score, of equals the later one, as with checkpoints. */
function bestOf(lines: readonly Line[], scoreOf: (line: Line) => number | null | undefined) {
  let best: { line: Line; score: number } | null = null;
  for (const line of lines) {
    const score = scoreOf(line);
    if (typeof score === 'number' && score >= (best?.score ?? -Infinity)) best = { line, score };
  }
  return best;
}

function lossTile(lines: readonly Line[]): Tile[] {
  const last = lines.findLast(({ loss }) => typeof loss === 'number');
  return last
    ? [{ name: 'Training loss', value: short(last.loss!), note: `at step ${whole(last.step)}` }]
    : [];
}

function throughputTile(lines: readonly Line[], { count, unit }: PerStep): Tile[] {
  const times = lines.flatMap(({ stepMs }) => stepMs ?? []);
  if (times.length === 0) return [];
  const stepMs = median(times);
  const perSecond = (count * 1000) / stepMs;
  const value = perSecond < 10 ? short(perSecond) : whole(Math.round(perSecond));
  return [{ name: 'Throughput', value, note: `${unit}/s, ${short(stepMs)} ms a step` }];
}

const whole = (n: number): string => n.toLocaleString('en-US');
const short = (x: number): string => String(Number(x.toPrecision(3)));
