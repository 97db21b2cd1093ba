import type { NumberEvidence, ProblemModel } from '@dag/model/problems';
import type { KnownProblem } from './problem-data.js';
import { solveAll, summarizeProblems } from './problem-scores.js';

const TEMPERATURES = [0.7, 1, 1.5, 2, 3] as const;
const RARITIES = [0, 0.25, 0.5, 0.75, 1] as const;

/** The constants of number evidence with which most of these problems, which were not trained, are solved. */
export async function fitEvidence(
  model: ProblemModel,
  problems: readonly KnownProblem[],
): Promise<NumberEvidence> {
  let best: { readonly right: number; readonly evidence: NumberEvidence } | null = null;
  for (const temperature of TEMPERATURES)
    for (const rarity of RARITIES) {
      const evidence = { temperature, rarity };
      const { value, half } = summarizeProblems(await solveAll(model, problems, evidence));
      // Of equal ones, that of the surer half.
      const right = value.right + half.share / 2;
      if (!best || right > best.right) best = { right, evidence };
    }
  return best!.evidence;
}
