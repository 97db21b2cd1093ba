import { z } from 'zod';
import type { MetricsRecord } from '../metrics.js';
import { percent } from '../report.js';
import { median } from './charts.js';

/** A figure of a run that stands at the top of its page. */
export interface Tile {
  readonly name: string;
  readonly value: string;
  readonly note: string;
}

/** What is known beside the metrics. */
export interface Facts {
  readonly maxSteps: number | null;
  readonly textsPerStep: number | null;
  /** Weights of the model. */
  readonly parameters: number | null;
}

const number = z.number().nullish();
const line = z.looseObject({
  step: z.number(),
  loss: number,
  stepMs: number,
  heldOut: z.looseObject({ value: number, loss: number }).nullish(),
});
type Line = z.infer<typeof line>;

/** The figures that the lines of a run have: of none that it does not hold. */
export function tilesOf(records: readonly MetricsRecord[], facts: Facts): Tile[] {
  const lines = records.flatMap((record) => line.safeParse(record).data ?? []);
  const { maxSteps, parameters } = facts;
  const steps = Math.max(...records.map(({ step }) => step));
  return [
    { name: 'Steps', value: whole(steps), note: maxSteps === null ? '' : `of ${whole(maxSteps)}` },
    ...heldOutTiles(lines),
    ...lossTile(lines),
    ...throughputTile(lines, facts.textsPerStep),
    ...(parameters === null ? [] : [{ name: 'Parameters', value: whole(parameters), note: 'weights' }]),
  ];
}

function heldOutTiles(lines: readonly Line[]): Tile[] {
  const value = bestOf(lines, ({ heldOut }) => heldOut?.value);
  if (value) {
    const note = `values right, at step ${whole(value.line.step)}`;
    return [{ name: 'Best held-out score', value: percent(value.score), note }];
  }
  const loss = bestOf(lines, ({ heldOut }) => (typeof heldOut?.loss === 'number' ? -heldOut.loss : null));
  if (!loss) return [];
  return [
    { name: 'Best held-out loss', value: short(-loss.score), note: `at step ${whole(loss.line.step)}` },
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

function throughputTile(lines: readonly Line[], textsPerStep: number | null): Tile[] {
  const times = lines.flatMap(({ stepMs }) => stepMs ?? []);
  if (times.length === 0) return [];
  const stepMs = median(times);
  const perSecond = ((textsPerStep ?? 1) * 1000) / stepMs;
  const value = perSecond < 10 ? short(perSecond) : whole(Math.round(perSecond));
  const unit = textsPerStep === null ? 'steps' : 'texts';
  return [{ name: 'Throughput', value, note: `${unit}/s, ${short(stepMs)} ms a step` }];
}

const whole = (n: number): string => n.toLocaleString('en-US');
const short = (x: number): string => String(Number(x.toPrecision(3)));
