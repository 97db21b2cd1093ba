import type { HostArray, MatmulSpec } from '../../backend.js';

/** C += A·B. */
export function matmul(spec: MatmulSpec, a: HostArray, b: HostArray, c: HostArray): void {
  // Without elements there may be any number of rows.
  if (spec.m * spec.n * spec.k === 0) return;
  for (let i = 0; i < spec.batch; i++) {
    const one = spec.transposeB ? dotProducts : rowUpdates;
    one(spec, a, i * spec.strideA, b, i * spec.strideB, c, i * spec.strideC);
  }
}

/** C[i, :] += A[i, p]·B[p, :]: four rows of B at a time, so that C is read and written a quarter as often. */
function rowUpdates(
  spec: MatmulSpec,
  a: HostArray,
  a0: number,
  b: HostArray,
  b0: number,
  c: HostArray,
  c0: number,
): void {
  const { m, n, k } = spec;
  const rowA = spec.transposeA ? 1 : k;
  const stepA = spec.transposeA ? m : 1;
  for (let i = 0; i < m; i++) {
    const ci = c0 + i * n;
    let ap = a0 + i * rowA;
    let p = 0;
    for (; p + 4 <= k; p += 4, ap += 4 * stepA) {
      const x0 = a[ap]!;
      const x1 = a[ap + stepA]!;
      const x2 = a[ap + 2 * stepA]!;
      const x3 = a[ap + 3 * stepA]!;
      const bp = b0 + p * n;
      for (let j = 0; j < n; j++)
        c[ci + j]! +=
          x0 * b[bp + j]! + x1 * b[bp + n + j]! + x2 * b[bp + 2 * n + j]! + x3 * b[bp + 3 * n + j]!;
    }
    for (; p < k; p++, ap += stepA) {
      const x = a[ap]!;
      const bp = b0 + p * n;
      for (let j = 0; j < n; j++) c[ci + j]! += x * b[bp + j]!;
    }
  }
}

/** C[i, j] = A[i, :]·B[j, :]: four columns at a time, so that A is read a quarter as often. */
function dotProducts(
  spec: MatmulSpec,
  a: HostArray,
  a0: number,
  b: HostArray,
  b0: number,
  c: HostArray,
  c0: number,
): void {
  const { m, n, k } = spec;
  const rowA = spec.transposeA ? 1 : k;
  const stepA = spec.transposeA ? m : 1;
  for (let i = 0; i < m; i++) {
    const ai = a0 + i * rowA;
    const ci = c0 + i * n;
    let j = 0;
    for (; j + 4 <= n; j += 4) {
      const bj = b0 + j * k;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let p = 0; p < k; p++) {
        const x = a[ai + p * stepA]!;
        s0 += x * b[bj + p]!;
        s1 += x * b[bj + k + p]!;
        s2 += x * b[bj + 2 * k + p]!;
        s3 += x * b[bj + 3 * k + p]!;
      }
      c[ci + j]! += s0;
      c[ci + j + 1]! += s1;
      c[ci + j + 2]! += s2;
      c[ci + j + 3]! += s3;
    }
    for (; j < n; j++) {
      let s = 0;
      for (let p = 0; p < k; p++) s += a[ai + p * stepA]! * b[b0 + j * k + p]!;
      c[ci + j]! += s;
    }
  }
}
