import {
  add,
  affine,
  cat,
  crossEntropy,
  log,
  mul,
  narrow,
  softmax,
  sum,
  tensor,
  type Tensor,
} from '@dag/executor';
import type { Cells, ProblemModel } from '@dag/model/problems';
import type { LossFunctions } from '../predictor/losses.js';
import type { ProblemBatch } from './problem-stream.js';

/** Default weights of the losses: of the plan among all that the library has, and of the cells of `O` and `G` one by one. */
export const PROBLEM_LOSSES = { library: 0.7, cells: 0.3 };

/** Keeps a logarithm finite where a probability underflows. */
const LEAST = 1e-30;

/**
 * The losses of a batch, means over the members of the model, each divided by the number of problems of its step: −log of the probability of the right plans among all plans, and
 * the cross entropies of the coefficients and kinds of the first right plan's steps.
 *
 * @param problems Number of problems of the whole step.
 */
export function problemLosses(
  model: ProblemModel,
  members: readonly Cells[],
  batch: ProblemBatch,
  problems: number,
): LossFunctions {
  const all = members.map((cells) => memberLosses(model, cells, batch, problems));
  const mean = (losses: readonly (() => Tensor)[]): Tensor =>
    affine(losses.map((loss) => loss()).reduce(add), 1 / losses.length);
  return {
    library: () => mean(all.map(({ library }) => library)),
    cells: () => mean(all.map(({ cells }) => cells)),
  };
}

function memberLosses(
  model: ProblemModel,
  cells: Cells,
  { numbers, right }: ProblemBatch,
  problems: number,
): Record<keyof typeof PROBLEM_LOSSES, () => Tensor> {
  const { device } = cells.operands;
  const { library } = model;
  const { size, features } = library.plans(numbers);
  const B = right.length;
  return {
    library: () => {
      const isRight = new Float32Array(B * size);
      right.forEach((plans, b) => plans.forEach((k) => (isRight[b * size + k] = 1)));
      const probability = softmax(model.score(cells, numbers));
      const ofRight = sum(mul(probability, tensor(isRight, [B, size], { device })), 1);
      return affine(sum(log(affine(ofRight, 1, LEAST))), -1 / problems);
    },
    cells: () => {
      const [D, M] = [library.depth, library.operands(numbers)];
      const F = library.width(numbers);
      const operands = new Int32Array(B * D * M);
      const kinds = new Int32Array(B * D);
      const has = (plan: number, feature: number): boolean => features[plan * F + feature] === 1;
      right.forEach(([plan = 0], b) => {
        for (let d = 0; d < D; d++) {
          for (let m = 0; m < M; m++) {
            const isLater = m >= M - (D - 1) + d;
            const at = d * M + m;
            operands[b * D * M + at] = isLater ? -1 : has(plan, at) ? 1 : has(plan, D * M + at) ? 2 : 0;
          }
          const ofKinds = 2 * D * M + d;
          kinds[b * D + d] = has(plan, ofKinds) ? 0 : has(plan, ofKinds + D) ? 1 : -1;
        }
      });
      const counted = (classes: Int32Array): number =>
        classes.reduce((n, c) => n + Number(c >= 0), 0) / problems;
      const none = affine(narrow(cells.operands, 3, 0, 1), 0);
      const mean = (logits: Tensor, classes: Int32Array, shape: number[]): Tensor =>
        affine(crossEntropy(logits, tensor(classes, shape, { dtype: 'i32', device })), counted(classes));
      return add(mean(cat([none, cells.operands], 3), operands, [B, D, M]), mean(cells.kinds, kinds, [B, D]));
    },
  };
}
