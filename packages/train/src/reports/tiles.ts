import { z } from 'zod';
import { percent } from '../evaluation/table.js';
import type { MetricsRecord } from '../run/metrics.js';
import { median, type PerStep } from './charts.js';

/** A key figure at the top of the page. */
export interface Tile {
  readonly name: string;
  readonly value: string;
  readonly note: string;
}

/** Facts about a run that are not in its metrics. */
export interface Facts {
  readonly maxSteps: number;
  /** The step of its last checkpoint, which may be later than the last line of the metrics. */
  readonly savedStep: number;
  readonly perStep: PerStep;
  /** The number of weights of the model; null if it was not loaded. */
  readonly parameters: number | null;
}

const number = z.number().nullish();
const line = z.looseObject({
  step: z.number(),
  loss: number,
  stepMs: number,
  heldOut: z.looseObject({ value: number, exact: number, textLoss: number }).nullish(),
  /** The settings that select the held-out data. */
  evaluation: z.looseObject({ seed: number, examples: number }).nullish(),
});
type Line = z.infer<typeof line>;

/** The tiles of a run, for each figure that its metrics have. */
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
 * The best held-out scores: right values (or values written exactly) and loss on text. Only evaluations on the same data as the last
 * one are compared.
 */
function heldOutTiles(all: readonly Line[]): Tile[] {
  const dataOf = ({ evaluation }: Line): string => `${evaluation?.seed} ${evaluation?.examples}`;
  const last = all.findLast(({ heldOut }) => heldOut);
  const lines = all.filter((one) => last && dataOf(one) === dataOf(last));
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

/** The line with the highest score; of equal scores the later one, as for checkpoints. */
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

export const whole = (n: number): string => n.toLocaleString('en-US');
const short = (x: number): string => String(Number(x.toPrecision(3)));
