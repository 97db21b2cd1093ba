/** Running sums and products, and argmax, over the middle of (outer, n, inner). */
import type { HostArray } from '../../backend.js';

export function cumsum(
  x: HostArray,
  y: HostArray,
  outer: number,
  n: number,
  inner: number,
  reverse: boolean,
  accumulate: boolean,
): void {
  if (outer === 0) return;
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

export function cumprod(x: HostArray, y: HostArray, outer: number, n: number, inner: number): void {
  forEachColumn(outer, n, inner, (first, end) => {
    let product = 1;
    for (let at = first; at < end; at += inner) y[at] = product *= x[at]!;
  });
}

/** dL/dx[t] = y[t−1] · Σ_{s ≥ t} gradY[s] · x[t+1] ⋯ x[s], without division, so that it is right where an x is 0. */
export function cumprodBackward(
  x: HostArray,
  y: HostArray,
  gradY: HostArray,
  gradX: HostArray,
  outer: number,
  n: number,
  inner: number,
): void {
  forEachColumn(outer, n, inner, (first, end) => {
    let after = 0;
    for (let at = end - inner; at >= first; at -= inner) {
      after = gradY[at]! + (at + inner < end ? x[at + inner]! * after : 0);
      gradX[at]! += (at > first ? y[at - inner]! : 1) * after;
    }
  });
}

export function argmax(x: HostArray, index: HostArray, outer: number, n: number, inner: number): void {
  let column = 0;
  forEachColumn(outer, n, inner, (first, end) => {
    let largest = first;
    for (let at = first + inner; at < end; at += inner)
      if (x[at]! > x[largest]! || (Number.isNaN(x[at]) && !Number.isNaN(x[largest]))) largest = at;
    index[column++] = (largest - first) / inner;
  });
}

/** Calls `use` with the first offset of each column and the offset after its last element. */
function forEachColumn(
  outer: number,
  n: number,
  inner: number,
  use: (first: number, end: number) => void,
): void {
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) use(o * n * inner + i, (o + 1) * n * inner + i);
}
