import type { HostArray, StridedWalk } from '../../backend.js';
import { BINARY, SHARES, UNARY, type BinaryKind, type Share, type UnaryKind } from '../../elementwise.js';
import { collapse } from '../../walk.js';

export function unary(kind: UnaryKind, x: HostArray, y: HostArray, p: number, q: number): void {
  const f = UNARY[kind].value;
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
  const { derivative } = UNARY[kind];
  for (let i = 0; i < y.length; i++) gradX[i]! += gradY[i]! * derivative(x[i]!, y[i]!, p, q);
}

export function binary(kind: BinaryKind, walk: StridedWalk, a: HostArray, b: HostArray, y: HostArray): void {
  const f = BINARY[kind].value;
  let at = 0;
  forEachRow(walk, (n, [ia, ib], [sa, sb]) => {
    for (let i = 0; i < n; i++) y[at++] = f(a[ia! + i * sa!]!, b[ib! + i * sb!]!);
  });
}

type ShareOf = (g: number, self: number, other: number) => number;

function shareOf([rule, factor]: Share): ShareOf {
  const { of } = SHARES[rule];
  return (g, self, other) => of(g, self, other, factor);
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
  const [toA, toB] = BINARY[kind].shares.map(shareOf) as [ShareOf, ShareOf];
  let at = 0;
  forEachRow(walk, (n, [ia, ib], [sa, sb]) => {
    for (let i = 0; i < n; i++) {
      const pa = ia! + i * sa!;
      const pb = ib! + i * sb!;
      const g = gradY[at++]!;
      if (gradA) gradA[pa]! += toA(g, a[pa]!, b[pb]!);
      if (gradB) gradB[pb]! += toB(g, b[pb]!, a[pa]!);
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

/** Whether a walk visits elements of its second operand more than once. */
export function sumsUp({ shape, strides }: StridedWalk): boolean {
  return shape.some((n, d) => n > 1 && strides[1]![d] === 0);
}

/** Calls `use` for every row along the last dimension with each operand's start and stride. */
function forEachRow(
  walk: StridedWalk,
  use: (n: number, starts: readonly number[], strides: readonly number[]) => void,
): void {
  const { shape, strides } = collapse(walk);
  if (shape.length === 0) return use(1, strides.map(() => 0), strides.map(() => 0)); // prettier-ignore
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
