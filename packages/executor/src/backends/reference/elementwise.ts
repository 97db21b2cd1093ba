import { erf } from '../../erf.js';
import type { BinaryKind, HostArray, StridedWalk, UnaryKind } from '../../backend.js';

type Unary = (x: number, p: number, q: number) => number;
/** dy/dx from x and y. */
type UnaryDerivative = (x: number, y: number, p: number, q: number) => number;

/** Each function beside its derivative. */
const unaries: Record<UnaryKind, readonly [Unary, UnaryDerivative]> = {
  abs: [Math.abs, (x) => Math.sign(x)],
  exp: [Math.exp, (_, y) => y],
  log: [Math.log, (x) => 1 / x],
  sqrt: [Math.sqrt, (_, y) => 0.5 / y],
  square: [(x) => x * x, (x) => 2 * x],
  tanh: [Math.tanh, (_, y) => 1 - y * y],
  sigmoid: [sigmoid, (_, y) => y * (1 - y)],
  softplus: [(x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), (x) => sigmoid(x)],
  // Exact GELU, x·Φ(x): Hendrycks & Gimpel, "Gaussian Error Linear Units" (2016).
  gelu: [
    (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
    (x) => 0.5 * (1 + erf(x * Math.SQRT1_2)) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI),
  ],
  geluTanh: [(x) => x * sigmoid(logit(x)), geluTanhDerivative],
  affine: [(x, p, q) => p * x + q, (_x, _y, p) => p],
  clamp: [(x, p, q) => Math.min(Math.max(x, p), q), (x, _y, p, q) => (x >= p && x <= q ? 1 : 0)],
  huber: [
    (x, p) => (Math.abs(x) <= p ? 0.5 * x * x : p * (Math.abs(x) - 0.5 * p)),
    (x, _y, p) => Math.min(Math.max(x, -p), p),
  ],
};

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** u where Φ(x) ≈ ½(1 + tanh(u/2)) = σ(u), in the same paper. Beyond ±25 σ is 0 or 1, and cubes may overflow. */
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

export function unary(kind: UnaryKind, x: HostArray, y: HostArray, p: number, q: number): void {
  const f = unaries[kind][0];
  for (let i = 0; i < y.length; i++) y[i] = f(x[i]!, p, q);
}

export function unaryBackward(
  kind: UnaryKind,
  x: HostArray,
  y: HostArray,
  gradY: HostArray,
  gradX: HostArray,
  p: number,
  q: number,
): void {
  const derivative = unaries[kind][1];
  for (let i = 0; i < y.length; i++) gradX[i]! += gradY[i]! * derivative(x[i]!, y[i]!, p, q);
}

type Binary = (a: number, b: number) => number;

/** Each function beside its derivatives with respect to a and to b. Where a = b, `maximum` and `minimum` split. */
const binaries: Record<BinaryKind, readonly [Binary, Binary, Binary]> = {
  add: [(a, b) => a + b, () => 1, () => 1],
  sub: [(a, b) => a - b, () => 1, () => -1],
  mul: [(a, b) => a * b, (_, b) => b, (a) => a],
  div: [(a, b) => a / b, (_, b) => 1 / b, (a, b) => -a / (b * b)],
  maximum: [Math.max, (a, b) => (a > b ? 1 : a === b ? 0.5 : 0), (a, b) => (b > a ? 1 : a === b ? 0.5 : 0)],
  minimum: [Math.min, (a, b) => (a < b ? 1 : a === b ? 0.5 : 0), (a, b) => (b < a ? 1 : a === b ? 0.5 : 0)],
  greaterEqual: [(a, b) => (a >= b ? 1 : 0), () => 0, () => 0],
};

export function binary(kind: BinaryKind, walk: StridedWalk, a: HostArray, b: HostArray, y: HostArray): void {
  const f = binaries[kind][0];
  let at = 0;
  forEachRow(walk, (n, [ia, ib], [sa, sb]) => {
    for (let i = 0; i < n; i++) y[at++] = f(a[ia! + i * sa!]!, b[ib! + i * sb!]!);
  });
}

export function binaryBackward(
  kind: BinaryKind,
  walk: StridedWalk,
  a: HostArray,
  b: HostArray,
  gradY: HostArray,
  gradA: HostArray | null,
  gradB: HostArray | null,
): void {
  const [, toA, toB] = binaries[kind];
  let at = 0;
  forEachRow(walk, (n, [ia, ib], [sa, sb]) => {
    for (let i = 0; i < n; i++) {
      const pa = ia! + i * sa!;
      const pb = ib! + i * sb!;
      const g = gradY[at++]!;
      if (gradA) gradA[pa]! += g * toA(a[pa]!, b[pb]!);
      if (gradB) gradB[pb]! += g * toB(a[pa]!, b[pb]!);
    }
  });
}

export function copyStrided(
  walk: StridedWalk,
  x: HostArray,
  offsetX: number,
  y: HostArray,
  offsetY: number,
  accumulate: boolean,
): void {
  const sums = sumsUp(walk);
  if (sums && !accumulate)
    forEachRow(walk, (n, [, iy], [, sy]) => {
      for (let i = 0; i < n; i++) y[offsetY + iy! + i * sy!] = 0;
    });
  forEachRow(walk, (n, [ix, iy], [sx, sy]) => {
    const px = offsetX + ix!;
    const py = offsetY + iy!;
    if (sums || accumulate) for (let i = 0; i < n; i++) y[py + i * sy!]! += x[px + i * sx!]!;
    else for (let i = 0; i < n; i++) y[py + i * sy!] = x[px + i * sx!]!;
  });
}

/** Whether a walk meets elements of its second operand more than once. */
export function sumsUp({ shape, strides }: StridedWalk): boolean {
  return shape.some((n, d) => n > 1 && strides[1]![d] === 0);
}

/** Calls `use` for every row along the last dimension with each operand's start and stride. */
function forEachRow(
  walk: StridedWalk,
  use: (n: number, starts: readonly number[], strides: readonly number[]) => void,
): void {
  const { shape, strides } = collapse(walk);
  const inner = shape.length - 1;
  const steps = strides.map((s) => s[inner]!);
  const index = new Array<number>(inner).fill(0);
  const starts = strides.map(() => 0);
  const rows = shape.slice(0, inner).reduce((a, n) => a * n, 1);
  for (let row = 0; row < rows && shape[inner]! > 0; row++) {
    use(shape[inner]!, starts, steps);
    for (let d = inner - 1; d >= 0; d--) {
      index[d]!++;
      for (let o = 0; o < starts.length; o++) starts[o]! += strides[o]![d]!;
      if (index[d]! < shape[d]!) break;
      for (let o = 0; o < starts.length; o++) starts[o]! -= strides[o]![d]! * shape[d]!;
      index[d] = 0;
    }
  }
}

/** The same walk with as few dimensions as possible: neighbours that every operand steps through evenly are one. */
function collapse({ shape, strides }: StridedWalk): { shape: number[]; strides: number[][] } {
  const outShape: number[] = [];
  const outStrides: number[][] = strides.map(() => []);
  for (let d = 0; d < shape.length; d++) {
    if (shape[d] === 1) continue;
    const last = outShape.length - 1;
    const even = last >= 0 && strides.every((s, o) => outStrides[o]![last] === s[d]! * shape[d]!);
    if (even) outShape[last]! *= shape[d]!;
    else outShape.push(shape[d]!);
    strides.forEach((s, o) => (outStrides[o]![outShape.length - 1] = s[d]!));
  }
  return outShape.length
    ? { shape: outShape, strides: outStrides }
    : { shape: [1], strides: strides.map(() => [0]) };
}

export function cumsum(
  x: HostArray,
  y: HostArray,
  outer: number,
  n: number,
  inner: number,
  reverse: boolean,
  accumulate: boolean,
): void {
  const sums = new Float64Array(inner);
  for (let o = 0; o < outer; o++) {
    sums.fill(0);
    for (let t = 0; t < n; t++) {
      const row = (o * n + (reverse ? n - 1 - t : t)) * inner;
      for (let i = 0; i < inner; i++) {
        sums[i]! += x[row + i]!;
        y[row + i] = accumulate ? y[row + i]! + sums[i]! : sums[i]!;
      }
    }
  }
}
