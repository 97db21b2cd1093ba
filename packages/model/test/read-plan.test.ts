import { describe, expect, it } from '@jest/globals';
import {
  execute,
  gradCheck,
  mul,
  reshape,
  sum,
  tensor,
  type DagTensorFields,
  type Tensor,
} from '@dag/executor';
import { completePrefix, generateText, normalize, parse, type Expr } from '@dag/expr';
import { tensorize, type DagTensors } from '@dag/tensorize';
import { TensorOps } from '../src/plan-predictor/array-ops.js';
import { readHardPlan, readingConstants } from '../src/plan-predictor/hard-plan.js';
import {
  createRegisterTargets,
  readPlan,
  writeRegisterTargets,
  type RegisterLayout,
  type Registers,
} from '../src/index.js';

const layout: RegisterLayout = { depth: 8, digits: 12 };

/** Registers that hold what `text` says, as a perfect writer leaves them; `noise` (0 … ½) makes them soft. */
function oracle(texts: readonly string[], { depth: K, digits: R }: RegisterLayout, noise = 0): Registers {
  const S = K + 1;
  const N = texts.length;
  const targets = createRegisterTargets(N, { depth: K, digits: R });
  texts.forEach((text, n) => {
    const complete = completePrefix(text);
    if (
      complete === null ||
      !writeRegisterTargets(targets, n, text, parse(complete), { depth: K, digits: R })
    )
      throw new Error(text);
  });
  const f64 = (length: number, at: (i: number) => number, shape: number[]): Tensor =>
    tensor(
      Float64Array.from({ length }, (_, i) => at(i)),
      [N, 1, ...shape],
      { requiresGrad: true },
    );
  const oneHot = (classes: ArrayLike<number>, first: number, count: number) => (i: number) =>
    classes[Math.floor(i / count)] === first + (i % count) ? 1 - noise : noise / 20;
  // The depth of an operator in the tree is a priority that gives this tree.
  const ancestors = (n: number, j: number): number => {
    let above = 0;
    for (let k = 0; k < K; k++) above += targets.above[(n * K + k) * K + j]!;
    return above;
  };
  return {
    digits: f64(N * S * R * 10, oneHot(targets.digits, 0, 10), [S, R, 10]),
    length: f64(N * S, (i) => targets.length[i]! + noise / 3, [S]),
    negative: f64(N * S, (i) => Math.abs(targets.negative[i]! - noise), [S]),
    operators: f64(N * K * 5, oneHot(targets.operators, 1, 5), [K, 5]),
    priority: f64(N * K, (i) => ancestors(Math.floor(i / K), i % K) - 0.01 * (i % K), [K]),
    count: f64(N, (i) => Math.max(0, targets.count[i]!), []),
  };
}

/** The plan of registers that hold what `texts` say. */
function hardPlan(texts: readonly string[]): DagTensorFields {
  const { depth: K, digits: R } = layout;
  const [S, N] = [K + 1, texts.length];
  const { digits, length, negative, operators, priority } = oracle(texts, layout);
  const ops = new TensorOps(undefined);
  const ofDigit = (weight: (digit: number) => number): Tensor =>
    ops.reshape(
      ops.matmul(
        reshape(digits, [N * S * R, 10]),
        ops.f64(
          Array.from({ length: 10 }, (_, d) => weight(d)),
          [10, 1],
        ),
      ),
      [N, S, R],
    );
  const registers = {
    digit: ofDigit((d) => d),
    present: ofDigit(() => 1),
    length: reshape(length, [N, S]),
    negative: reshape(negative, [N, S]),
    operators: reshape(operators, [N, K, 5]),
    priority: reshape(priority, [N, K]),
  };
  return readHardPlan(ops, readingConstants(ops, layout), registers, layout);
}

/** Minuses of groups. */
function minuses(expr: Expr): number {
  return JSON.stringify(expr).split('"Neg"').length - 1;
}

function graph(plan: DagTensorFields, n: number, depth: number): DagTensors {
  const row = (x: Tensor): Float64Array => {
    const size = x.size / x.shape[0]!;
    return Float64Array.from(x.dataSync().slice(n * size, (n + 1) * size));
  };
  return { depth, size: 1, V_mag: row(plan.V_mag), V_sign: row(plan.V_sign), O: row(plan.O), G: row(plan.G) };
}

describe('a hard read of right registers', () => {
  it('is the very plan that tensorize makes, for random expressions and their prefixes', () => {
    const texts: string[] = [];
    for (let index = 0; texts.length < 2000; index++) {
      const text = generateText({
        seed: 11,
        index,
        depth: 8,
        maxDigits: 6,
        maxDecimals: 6,
        style: 'spaced',
        negatedGroups: 0.2,
      });
      texts.push(text);
      const prefix = text.slice(0, 1 + ((index * 7) % text.length));
      if (completePrefix(prefix) !== null) texts.push(prefix);
    }
    const plan = hardPlan(texts);
    texts.forEach((text, n) => {
      const complete = completePrefix(text)!;
      expect({ text, value: execute(graph(plan, n, 8))[0] }).toEqual({
        text,
        value: execute(tensorize(complete, { depth: 8 }))[0],
      });
      // To tensorize `-(1)` is the number −1 and `-(-(1 + 2))` has no minus; registers do not know yet what follows.
      if (minuses(parse(complete)) === minuses(normalize(parse(complete))))
        expect({ text, ...graph(plan, n, 8) }).toEqual({ text, ...tensorize(complete, { depth: 8 }) });
    });
  });

  it.each([
    ['a minus before a group is a step of its own', '-(2 + 3) * 4', -20],
    ['also on the right of a product', '2 * -(3 + 4)', -14],
    ['also inside another one', '-(2 - -(3 + 4) * 5)', -37],
    ['and before a product', '-(2 * 3) + 1', -5],
    ['decimals are the doubles of their text', '0.1 + 0.2', 0.1 + 0.2],
  ])('%s: %s', (_, text, value) => {
    const plan = hardPlan([text]);
    expect(graph(plan, 0, 8)).toEqual(tensorize(text, { depth: 8 }));
    expect(execute(graph(plan, 0, 8))[0]).toBe(value);
  });
});

describe('a soft read', () => {
  it('has the gradients that differences show, through V_mag, V_sign, O and G', () => {
    const small: RegisterLayout = { depth: 3, digits: 3 };
    const registers = oracle(['1.5 * (2 - 3)'], small, 0.2);
    const weigh = (x: Tensor): Tensor =>
      sum(
        mul(
          x,
          tensor(
            Float64Array.from({ length: x.size }, (_, i) => Math.sin(i + 1)),
            x.shape,
          ),
        ),
      );
    for (const field of ['V_mag', 'V_sign', 'O', 'G'] as const)
      expect(
        gradCheck(() => weigh(readPlan(registers, small)[field]), Object.values(registers).slice(0, 5))
          .failures,
      ).toEqual([]);
  });
});
