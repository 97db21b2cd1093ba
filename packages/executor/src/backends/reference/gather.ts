import type { HostArray } from '../../backend.js';

/** y[i] = x[i, index[i]] for rows of n; an index of −1 gives 0. */
export function gather(x: HostArray, index: HostArray, y: HostArray, n: number): void {
  for (let i = 0; i < y.length; i++) y[i] = index[i]! < 0 ? 0 : x[i * n + index[i]!]!;
}

export function gatherBackward(index: HostArray, gradY: HostArray, gradX: HostArray, n: number): void {
  for (let i = 0; i < gradY.length; i++) if (index[i]! >= 0) gradX[i * n + index[i]!]! += gradY[i]!;
}

/** y[i, :] = table[index[i], :] for rows of n. */
export function embedding(table: HostArray, index: HostArray, y: HostArray, n: number): void {
  for (let i = 0; i < index.length; i++) y.set(table.subarray(index[i]! * n, (index[i]! + 1) * n), i * n);
}

export function embeddingBackward(index: HostArray, gradY: HostArray, gradTable: HostArray, n: number): void {
  for (let i = 0; i < index.length; i++)
    for (let c = 0; c < n; c++) gradTable[index[i]! * n + c]! += gradY[i * n + c]!;
}
