import { checkTensors, type DagTensors } from '@dag/tensorize';
import { calibrated } from './calibration.js';
import { unknownParts, listed, type Reader } from './doubt.js';
import { ModelError } from './error.js';
import { FAULTS } from './plan-predictor/decided-plan.js';
import type { PredictedPlans } from './predicted-value.js';
import { hasLoneBar, opensIn } from './tokenizer/tokenizer.js';

/** What a readout says of the texts that it read: see `HardPlan`. */
export interface Judged {
  readonly fault: number;
  readonly complete: number;
  /** Before calibration. */
  readonly confidence: number;
}

/** Texts of a lower confidence are refused. */
const LEAST_CONFIDENCE = 0.5;

/**
 * Calibrates the confidences of N texts, and says which of them are refused.
 *
 * @param texts The texts as the tokenizer reads them.
 */
export function judge(
  texts: readonly string[],
  judged: readonly Judged[],
  model: Reader,
): Pick<PredictedPlans, 'confidences' | 'refusals' | 'unsure'> {
  const confidences = judged.map(({ confidence }) => calibrated(confidence, model.config.calibration));
  const unreadable = texts.map((text, i) => whyUnreadable(text, judged[i]!, model));
  const unsure = unreadable.map((why, i) => why === null && confidences[i]! < LEAST_CONFIDENCE);
  const refusals = unreadable.map((why, i) =>
    unsure[i]
      ? (neverSeen(unknownParts(texts[i]!, model)) ??
        `it is not clear how to read the text (confidence ${confidences[i]!.toFixed(2)})`)
      : why,
  );
  return { confidences, refusals, unsure };
}

/** A word: people say many around what they ask, and a model need not know all of them. A letter or a sign may be a number. */
const WORD = /^(?:'[a-z]{1,2}|'?[a-z]{2,})$/;

/**
 * Whether what a model has never seen may be left out of account: words behind all numbers of the text, or in a part before them that a sign ends.
 * Others may say what is asked, or be a unit.
 */
function isBeside(part: string, text: string): boolean {
  if (!part.split(' ').every((word) => WORD.test(word))) return false;
  return text.split(part).every((_, i, pieces) => {
    if (i === 0) return true;
    const [before, after] = [pieces.slice(0, i).join(part), pieces.slice(i).join(part)];
    return /\d/.test(after) ? !/\d/.test(before) && /^[^\d]* [,.:;!?]+ /.test(after) : !/\d $/.test(before);
  });
}

/**
 * Why a text is refused whatever the confidence, in one sentence; null where it is not. What the model has never seen explains best why it
 * cannot read the rest.
 */
function whyUnreadable(text: string, { fault, complete }: Judged, model: Reader): string | null {
  const unknown = unknownParts(text, model);
  const isWhole = fault === 0 && complete >= 0.5;
  if (!isWhole || unknown.some((part) => !isBeside(part, text))) {
    const reason = neverSeen(unknown);
    if (reason !== null) return reason;
  }
  if (fault > 0) return `the text cannot be read: ${FAULTS[fault]}`;
  if (opensIn(text) > 0) return 'the text is not whole: a parenthesis is not closed';
  if (hasLoneBar(text)) return 'the text is not whole: a bar of |x| has no partner';
  return isWhole ? null : 'the text is not a whole expression, or asks for something else';
}

const neverSeen = (parts: readonly string[]): string | null =>
  parts.length > 0 ? `the text has ${listed(parts)}, which this model has never seen` : null;

/**
 * A plan (one graph) with the smallest depth that it fits into: without the numbers and steps that it does not use. Its value and its
 * description are the same.
 *
 * @throws {TensorizeError} `bad-tensors` where it is no plan.
 * @throws {ModelError} `bad-input` where it is more than one graph.
 * @example smallestPlan(model.predictPlans(['2 + 3'])).depth // 2
 */
export function smallestPlan(plan: DagTensors): DagTensors {
  checkTensors(plan);
  if (plan.size !== 1) throw new ModelError('bad-input', `expected one graph, given ${plan.size}`);
  const { depth: from, V_mag, V_sign, O, G } = plan;
  /** Whether step i passes on the result of the step before it, or node 0 where it is the first. */
  const isUnused = (i: number): boolean => {
    const row = O.subarray(2 * from * i, 2 * from * (i + 1));
    const passed = i === 0 ? 0 : from + i - 1;
    return G[i] === 1 && row.every((c, j) => c === (j === passed ? 1 : 0));
  };
  const isNumber = (j: number): boolean =>
    V_mag[j] !== 0 ||
    V_sign[j] !== 1 ||
    Array.from({ length: from }, (_, i) => O[2 * from * i + j]).some((c) => c !== 0);
  let steps = from;
  while (steps > 0 && isUnused(steps - 1)) steps--;
  let numbers = from;
  while (numbers > 0 && !isNumber(numbers - 1)) numbers--;
  const depth = Math.max(1, steps, numbers);
  const nodes = [...Array(depth).keys(), ...Array.from({ length: depth }, (_, i) => from + i)];
  const pick = (x: Float64Array, row: number): number[] => nodes.map((node) => x[2 * from * row + node]!);
  return {
    ...{
      depth,
      size: 1,
      V_mag: Float64Array.from(pick(V_mag, 0)),
      V_sign: Float64Array.from(pick(V_sign, 0)),
    },
    O: Float64Array.from(Array.from({ length: depth }, (_, i) => pick(O, i)).flat()),
    G: G.slice(0, depth),
  };
}
