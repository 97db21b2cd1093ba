import { readoutOf } from '@dag/model';
import { isSection, valueAt, type ConfigProblem } from './problems.js';

/** Weights of losses by name; 0 is off. */
export type LossWeights = Readonly<Record<string, number>>;

/** The largest weight of a loss: far beyond it a weighted loss is no number of f32. */
export const MOST_WEIGHT = 1e6;

/** Losses on the plan, available for every readout. */
export const PLAN_LOSSES = ['magnitude', 'sign', 'operand', 'domain', 'execution'] as const;
export type PlanLoss = (typeof PLAN_LOSSES)[number];

/** All losses of a readout with their default weights. */
export function readoutLosses(readout: string): LossWeights {
  const { losses, weights } = readoutOf(readout);
  const names = [...Object.keys(losses), ...PLAN_LOSSES];
  return Object.fromEntries(names.map((name) => [name, weights[name] ?? 0]));
}

/** Checks the losses of a configuration against the `known` losses and their default weights. */
export function* checkLosses(input: unknown, known: LossWeights): Iterable<ConfigProblem> {
  const given = valueAt(input, ['losses']) ?? {};
  if (!isSection(given)) return;
  for (const name of Object.keys(given).filter((name) => !Object.hasOwn(known, name)))
    yield {
      paths: [`losses.${name}`],
      message: `unknown loss ${name}; there ${Object.keys(known).length === 1 ? 'is' : 'are'} ${Object.keys(known).join(', ')}`,
    };
  const weights = Object.entries({ ...known, ...given });
  if (weights.every(([, weight]) => weight === 0))
    yield {
      paths: weights.map(([name]) => `losses.${name}`),
      message: 'losses: all weights are 0, so nothing would be trained',
    };
}
