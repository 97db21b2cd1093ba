/**
 * The arithmetic of one step of a computation graph, forward and backward, in IEEE double.
 *
 *     linear part   a = Σ_j O_j · v_j
 *     log part      p = E · Q,   E = exp(Σ_j O_j · ln m_j),   Q = Π_j q_j
 *                   q_j = (1+s_j)/2 + (1−s_j)/2 · cos(π·O_j)      (the expected sign)
 *     node          v = g·a + (1−g)·p
 *
 * Where all coefficients are whole or ±½, E is computed without logarithms: the product of the numerators in node order,
 * divided by each denominator in node order; where that product leaves the range of doubles, factor by factor in node
 * order. A term whose coefficient is 0 takes no part. At inference, steps with gate 0 have the powers of IEEE: other
 * fractional coefficients are factors too, and a fractional power of a negative number is NaN instead of its expected sign.
 */

import { MIN_NORMAL, power } from './power.js';

/** The nodes of one graph: value, magnitude (never negative) and sign of each, `2·depth` long. */
export interface Nodes {
  readonly value: Float64Array;
  readonly magnitude: Float64Array;
  readonly sign: Float64Array;
}

export function createNodes(depth: number): Nodes {
  const n = 2 * depth;
  return { value: new Float64Array(n), magnitude: new Float64Array(n), sign: new Float64Array(n) };
}

export const isNegative = (x: number): boolean => x < 0 || Object.is(x, -0);

/** Sets node `k` to `value`; −0 counts as negative. */
export function setNode(nodes: Nodes, k: number, value: number): void {
  nodes.value[k] = value;
  nodes.magnitude[k] = Math.abs(value);
  nodes.sign[k] = isNegative(value) ? -1 : 1;
}

/** Sets initial node `j`. A negative magnitude, −0 too, counts as the positive one with the opposite sign. */
export function setInitialNode(nodes: Nodes, j: number, magnitude: number, sign: number): void {
  nodes.value[j] = sign * magnitude;
  nodes.magnitude[j] = Math.abs(magnitude);
  nodes.sign[j] = isNegative(magnitude) ? -sign : sign;
}

/** A step that reads nodes `0 … count−1` with coefficients `O[row] … O[row + count − 1]`. */
export interface Step {
  readonly nodes: Nodes;
  readonly O: Float64Array;
  readonly row: number;
  readonly count: number;
  readonly gate: number;
  readonly maxLog: number;
  readonly inference: boolean;
}

export function stepValue(step: Step): number {
  const { gate } = step;
  if (gate === 1) return linearPart(step);
  const product = Math.min(magnitudePart(step), Math.exp(step.maxLog)) * signPart(step);
  return gate === 0 ? product : gate * linearPart(step) + (1 - gate) * product;
}

function linearPart({ nodes, O, row, count }: Step): number {
  let sum = 0;
  let first = true;
  for (let j = 0; j < count; j++) {
    const c = O[row + j]!;
    if (c === 0) continue;
    const term = c * nodes.value[j]!;
    // Starting at the first term keeps −0: 0 + (−0) would be +0.
    sum = first ? term : sum + term;
    first = false;
  }
  return sum;
}

const isIeee = ({ inference, gate }: Step): boolean => inference && gate === 0;

/** Coefficients of hard plans: whole numbers and square roots. */
const isHard = (c: number): boolean => Number.isInteger(c) || Math.abs(c) === 0.5;

/** E over all terms but `except`. */
function magnitudePart(step: Step, except = -1): number {
  const { nodes, O, row, count } = step;
  if (!isIeee(step) && !O.subarray(row, row + count).every(isHard)) {
    let sum = 0;
    for (let j = 0; j < count; j++) {
      const c = O[row + j]!;
      if (c !== 0 && j !== except) sum += c * Math.log(nodes.magnitude[j]!);
    }
    return Math.exp(sum);
  }
  let above = 0;
  for (let j = 0; j < count; j++) if (O[row + j]! > 0 && j !== except) above += O[row + j]!;
  const numerators = productOf(step, except, (c) => c > 0);
  // Otherwise (a / b) · c may be in range where a · c is not.
  const inRange = above < 2 || (numerators >= MIN_NORMAL && numerators < Infinity);
  return inRange ? productOf(step, except, (c) => !(c > 0), numerators) : productOf(step, except, () => true);
}

/** Whole coefficients up to this size are repeated factors; larger ones are computed as one power. */
const MAX_REPEATED = 16;

/** `start` times the powers of the terms whose coefficients are `wanted`, but `except`. */
function productOf(
  { nodes, O, row, count }: Step,
  except: number,
  wanted: (c: number) => boolean,
  start = 1,
): number {
  let product = start;
  for (let j = 0; j < count; j++) {
    const c = O[row + j]!;
    if (c === 0 || j === except || !wanted(c)) continue;
    const m = nodes.magnitude[j]!;
    const size = Math.abs(c);
    const repeated = Number.isInteger(c) && size <= MAX_REPEATED;
    const divided = c < 0 && isHard(c);
    const factor = repeated ? m : power(m, divided ? size : c);
    for (let n = repeated ? size : 1; n > 0; n--) product = divided ? product / factor : product * factor;
  }
  return product;
}

/** Q over all terms but `except`. */
function signPart(step: Step, except = -1): number {
  let product = 1;
  for (let j = 0; j < step.count; j++)
    if (step.O[step.row + j] !== 0 && j !== except) product *= expectedSign(step, j);
  return product;
}

function expectedSign(step: Step, j: number): number {
  const s = step.nodes.sign[j]!;
  const c = step.O[step.row + j]!;
  if (s === 1) return 1;
  if (s !== -1 || !isIeee(step) || Number.isInteger(c)) return (1 + s) / 2 + ((1 - s) / 2) * cosPi(c);
  // The square root of −0 is −0, any other power of it that of 0.
  return step.nodes.magnitude[j] !== 0 ? NaN : Math.abs(c) === 0.5 ? -1 : 1;
}

/** Arrays that receive the gradients of one graph. */
export interface StepGradients {
  /** With respect to the value of each node. */
  readonly value: Float64Array;
  /** With respect to the magnitude and sign of each node. */
  readonly magnitude: Float64Array;
  readonly sign: Float64Array;
  /** With respect to the coefficients of this step. */
  readonly O: Float64Array;
}

/**
 * Adds the gradient of one step to `out`; returns that of its gate. `upstream` is the gradient of its value.
 *
 * Derivatives are those of the function above, also at zero: d(a·b)/da at a = 0 is b. An infinite derivative
 * (√m at 0) is clamped to ±1.8e308, and so is every sum; an undefined one (ln 0 of a term that takes no
 * part, 0/0 in the branch that the gate has closed) is 0. So a gradient is NaN only where `upstream` is.
 */
export function stepBackward(step: Step, upstream: number, out: StepGradients): number {
  const { nodes, O, row, count, gate: g } = step;
  // A part closed by the gate, and a term with coefficient 0, receive no gradient, not even NaN.
  const toLinear = g === 0 ? 0 : chain(upstream, g);
  for (let j = 0; j < count; j++) {
    const c = O[row + j]!;
    out.O[j] = toFinite(out.O[j]! + chain(toLinear, nodes.value[j]!));
    if (c !== 0) out.value[j] = toFinite(out.value[j]! + chain(toLinear, c));
  }
  const magnitude = magnitudePart(step);
  const limit = Math.exp(step.maxLog);
  const E = Math.min(magnitude, limit);
  const Q = signPart(step);
  const toLog = g === 1 ? 0 : chain(upstream, 1 - g);
  if (toLog !== 0) {
    const clamped = magnitude > limit;
    const toSum = clamped ? 0 : chain(toLog, E * Q);
    for (let j = 0; j < count; j++) {
      const c = O[row + j]!;
      const m = nodes.magnitude[j]!;
      const s = nodes.sign[j]!;
      if (m !== 0 || Number.isNaN(toSum)) out.O[j] = toFinite(out.O[j]! + chain(toSum, Math.log(m)));
      if (c === 0) continue;
      if (!clamped) {
        // A denominator may be so small that m^(c−1) overflows where the derivative c·E/m does not; a numerator may be 0.
        const toMagnitude =
          c < 0
            ? chain(toSum, c * (1 / m))
            : chain(chain(toLog, magnitudePart(step, j) * Q), c * power(m, c - 1));
        out.magnitude[j] = toFinite(out.magnitude[j]! + toMagnitude);
      }
      const others = chain(toLog, E * signPart(step, j));
      out.sign[j] = toFinite(out.sign[j]! + chain(others, (1 - cosPi(c)) / 2));
      if (s !== 1 && !Number.isInteger(c))
        out.O[j] = toFinite(out.O[j]! - chain(others, ((1 - s) / 2) * Math.PI * sinPi(c)));
    }
  }
  return chain(upstream, linearPart(step) - E * Q);
}

/** upstream · local, clamped to finite numbers; 0 where `local` is undefined. NaN where `upstream` is NaN. */
export function chain(upstream: number, local: number): number {
  const product = upstream * local;
  return Number.isNaN(product) && !Number.isNaN(upstream) ? 0 : toFinite(product);
}

/** `x` clamped to ±`limit`: an infinite gradient times 0, or plus its opposite, would be NaN. */
export function toFinite(x: number, limit = Number.MAX_VALUE): number {
  return Math.min(Math.max(x, -limit), limit);
}

/** cos(π·x), exact at multiples of ½. */
const cosPi = (x: number): number => sineOfQuarters(x, 1);

/** sin(π·x), exact at multiples of ½. */
const sinPi = (x: number): number => sineOfQuarters(x, 0);

/** sin(π·(x + quarters/2)), by the exact difference of x to the nearest multiple of ½: π·x itself would round. */
function sineOfQuarters(x: number, quarters: number): number {
  const r = x % 2;
  const nearest = Math.round(2 * r);
  const angle = Math.PI * (r - nearest / 2);
  const size = (nearest + quarters) % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  // 0 + x: never −0.
  return 0 + (((nearest + quarters) & 2) === 0 ? size : -size);
}
