import { isSection, valueAt, type ConfigProblem } from './problems.js';

/** Weights of losses by name; 0 is off. */
export type LossWeights = Readonly<Record<string, number>>;

/** What is wrong with the losses of a configuration where `known` are those there are, with their default weights. */
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
      message: 'losses: all weights are 0, so there is nothing to train',
    };
}
