import { type NumberEvidence, type ProblemModel } from '@dag/model/problems';
import type { KnownProblem } from './problem-data.js';
import { inGroups, isRight } from './problem-scores.js';

/** Above 1: of texts by other authors a model is surer than it is right, more so than of the held-out ones. */
const TEMPERATURES = [1.5, 2, 2.8] as const;
const RARITIES = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5] as const;
/** Least probability of the right answer: one that no plan gives would decide alone. */
const LEAST = 1e-4;

/** The constants of number evidence that make the right answers of these problems, which were not trained, the most probable. */
export async function fitEvidence(
  model: ProblemModel,
  problems: readonly KnownProblem[],
): Promise<NumberEvidence> {
  const read = new Map<KnownProblem, Float64Array>();
  await inGroups(model, problems, (group) =>
    model.logProbabilities(group).forEach((logProbabilities, i) => read.set(group[i]!, logProbabilities)),
  );
  let best: { readonly likelihood: number; readonly evidence: NumberEvidence } | null = null;
  for (const temperature of TEMPERATURES)
    for (const rarity of RARITIES) {
      const evidence = { temperature, rarity };
      let likelihood = 0;
      for (const [{ numbers, answer }, logProbabilities] of read) {
        const right = model
          .weighed(numbers, logProbabilities, evidence)
          .filter(({ value }) => isRight(value, answer));
        likelihood += Math.log(Math.max(LEAST, ...right.map(({ probability }) => probability)));
      }
      if (!best || likelihood > best.likelihood) best = { likelihood, evidence };
    }
  return best!.evidence;
}
