/**
 * The elementwise ops: name, formula and derivative of each. `reference` computes with these functions. Compiled backends have the same
 * formulas in kernels/elementwise.h; the build numbers the ops by their order here (scripts/kinds.js) and fails where one has no
 * formula there.
 */
import { erf } from './erf.js';

interface Unary {
  /** y from x, and the numbers p and q of the call. */
  readonly value: (x: number, p: number, q: number) => number;
  /** dy/dx. */
  readonly derivative: (x: number, y: number, p: number, q: number) => number;
  /** The tensor that the derivative reads, which is saved for the backward pass. */
  readonly from: 'x' | 'y' | null;
}

export const UNARY = {
  abs: { value: Math.abs, derivative: (x) => Math.sign(x), from: 'x' },
  exp: { value: Math.exp, derivative: (_, y) => y, from: 'y' },
  log: { value: Math.log, derivative: (x) => 1 / x, from: 'x' },
  sqrt: { value: Math.sqrt, derivative: (_, y) => 0.5 / y, from: 'y' },
  square: { value: (x) => x * x, derivative: (x) => 2 * x, from: 'x' },
  sigmoid: { value: sigmoid, derivative: (_, y) => y * (1 - y), from: 'y' },
  softplus: {
    value: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
    derivative: (x) => sigmoid(x),
    from: 'x',
  },
  /** p·x + q. */
  affine: { value: (x, p, q) => p * x + q, derivative: (_x, _y, p) => p, from: null },
  /** x within [p, q]. */
  clamp: {
    value: (x, p, q) => Math.min(Math.max(x, p), q),
    derivative: (x, _y, p, q) => (x >= p && x <= q ? 1 : 0),
    from: 'x',
  },
  /** ½x² within ±p, p·(|x| − ½p) outside. */
  huber: {
    value: (x, p) => (Math.abs(x) <= p ? 0.5 * x * x : p * (Math.abs(x) - 0.5 * p)),
    derivative: (x, _y, p) => Math.min(Math.max(x, -p), p),
    from: 'x',
  },
  tanh: { value: Math.tanh, derivative: (_, y) => 1 - y * y, from: 'y' },
  /** Exact GELU, x·Φ(x): Hendrycks & Gimpel, "Gaussian Error Linear Units" (2016). */
  gelu: {
    value: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
    derivative: (x) =>
      0.5 * (1 + erf(x * Math.SQRT1_2)) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI),
    from: 'x',
  },
  /** SiLU, x·σ(x), of the same paper. */
  silu: {
    value: (x) => x * sigmoid(x),
    derivative: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    from: 'x',
  },
  geluTanh: { value: (x) => x * sigmoid(logit(x)), derivative: geluTanhDerivative, from: 'x' },
  /** The derivative at 0 is 0, as in PyTorch. */
  relu: { value: (x) => Math.max(x, 0), derivative: (_, y) => (y <= 0 ? 0 : 1), from: 'y' },
  sin: { value: Math.sin, derivative: (x) => Math.cos(x), from: 'x' },
  cos: { value: Math.cos, derivative: (x) => -Math.sin(x), from: 'x' },
  /** NaN of NaN, −0 of −0. */
  sign: { value: Math.sign, derivative: () => 0, from: null },
} as const satisfies Record<string, Unary>;

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** u with Φ(x) ≈ ½(1 + tanh(u/2)) = σ(u), from the same paper. Clamped to ±25, where σ(u) is 0 or 1, since cubes may overflow. */
function logit(x: number): number {
  const z = Math.min(Math.max(x, -25), 25);
  return LOGIT_SCALE * (z + 0.044715 * z * z * z);
}
const LOGIT_SCALE = 2 * Math.sqrt(2 / Math.PI);

function geluTanhDerivative(x: number): number {
  const u = logit(x);
  const slope = sigmoid(u) * sigmoid(-u);
  // 0 where x² might overflow.
  return sigmoid(u) + (slope > 0 ? x * LOGIT_SCALE * (1 + 3 * 0.044715 * x * x) * slope : slope);
}

/**
 * Gradients of the operands of binary ops: what an operand receives of the gradient g of the result, from itself, the other operand
 * and a constant factor. Backends sum it over the dimensions along which the operand was broadcast.
 */
export const SHARES = {
  scaled: { of: (g, _self, _other, factor) => g * factor, from: [] },
  timesOther: { of: (g, _self, other) => g * other, from: ['other'] },
  overOther: { of: (g, _self, other) => g / other, from: ['other'] },
  asDivisor: { of: (g, self, other) => g * (-other / (self * self)), from: ['self', 'other'] },
  /** g where factor·self > factor·other, g/2 where they are equal, as in PyTorch. */
  ifLarger: {
    of: (g, self, other, factor) => (factor * self > factor * other ? g : self === other ? g / 2 : 0),
    from: ['self', 'other'],
  },
  /** As in PyTorch, the base has gradient 0 at an exponent of 0, the exponent at a base of 0 with an exponent ≥ 0. */
  asBase: {
    of: (g, self, other) => (other === 0 ? 0 : g * (other * power(self, other - 1))),
    from: ['self', 'other'],
  },
  asExponent: {
    of: (g, self, other) => (other === 0 && self >= 0 ? 0 : g * (power(other, self) * Math.log(other))),
    from: ['self', 'other'],
  },
  ifOther: { of: (g, _self, other) => (other !== 0 ? g : 0), from: ['other'] },
  nothing: { of: () => 0, from: [] },
} as const satisfies Record<string, ShareRule>;

/** pow of IEEE 754 and C: 1 for 1 ** NaN and (±1) ** ±Infinity, which are NaN in JavaScript. */
function power(base: number, exponent: number): number {
  const isOne = base === 1 || (base === -1 && Math.abs(exponent) === Infinity);
  return isOne ? 1 : base ** exponent;
}

interface ShareRule {
  readonly of: (g: number, self: number, other: number, factor: number) => number;
  /** The operands that it reads, which are saved for the backward pass. */
  readonly from: readonly ('self' | 'other')[];
}

/** A rule of SHARES and its factor. */
export type Share = readonly [rule: keyof typeof SHARES, factor: number];

interface Binary {
  readonly value: (a: number, b: number) => number;
  /** The gradient rules of a and of b. */
  readonly shares: readonly [Share, Share];
}

/** 1 where it holds, else 0. */
function condition(holds: (a: number, b: number) => boolean): Binary {
  return {
    value: (a, b) => Number(holds(a, b)),
    shares: [
      ['nothing', 1],
      ['nothing', 1],
    ],
  };
}

export const BINARY = {
  add: {
    value: (a, b) => a + b,
    shares: [
      ['scaled', 1],
      ['scaled', 1],
    ],
  },
  sub: {
    value: (a, b) => a - b,
    shares: [
      ['scaled', 1],
      ['scaled', -1],
    ],
  },
  mul: {
    value: (a, b) => a * b,
    shares: [
      ['timesOther', 1],
      ['timesOther', 1],
    ],
  },
  div: {
    value: (a, b) => a / b,
    shares: [
      ['overOther', 1],
      ['asDivisor', 1],
    ],
  },
  maximum: {
    value: Math.max,
    shares: [
      ['ifLarger', 1],
      ['ifLarger', 1],
    ],
  },
  minimum: {
    value: Math.min,
    shares: [
      ['ifLarger', -1],
      ['ifLarger', -1],
    ],
  },
  pow: {
    value: power,
    shares: [
      ['asBase', 1],
      ['asExponent', 1],
    ],
  },
  /** a where b is not 0, else −0, the neutral element of addition. */
  masked: {
    value: (a, b) => (b !== 0 ? a : -0),
    shares: [
      ['ifOther', 1],
      ['nothing', 1],
    ],
  },
  equal: condition((a, b) => a === b),
  notEqual: condition((a, b) => a !== b),
  greater: condition((a, b) => a > b),
  greaterEqual: condition((a, b) => a >= b),
  logicalAnd: condition((a, b) => a !== 0 && b !== 0),
} as const satisfies Record<string, Binary>;

export type UnaryKind = keyof typeof UNARY;
export type BinaryKind = keyof typeof BINARY;
export const UNARY_KINDS = Object.keys(UNARY) as UnaryKind[];
export const BINARY_KINDS = Object.keys(BINARY) as BinaryKind[];
export const SHARE_KINDS = Object.keys(SHARES) as (keyof typeof SHARES)[];

/** Activation function of `linear`: GELU, exact or by tanh. */
export type Activation = 'gelu' | 'geluTanh';
/** Activations of a linear layer; kernels take the index in this list, counted from 1. */
export const ACTIVATIONS = ['gelu', 'geluTanh'] as const satisfies readonly (Activation & UnaryKind)[];
