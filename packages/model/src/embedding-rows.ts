import { ModelError } from './error.js';
import { toFloat32, type SafeTensor } from './safetensors/tensor.js';

/** The token embedding. Files leave out its rows of zeros, which tokens that training never met may have. */
export const EMBEDDING = 'wte.weight';
/** The token ids of the rows that a file stores, where it leaves some out. */
export const ROWS = 'wte.rows';

/** Indices of the rows that are not all zero. */
export function usedRows(data: Float32Array, width: number): number[] {
  return Array.from({ length: data.length / width }, (_, row) => row).filter((row) =>
    data.subarray(row * width, (row + 1) * width).some((w) => w !== 0),
  );
}

/** Restores the rows of zeros that `save` left out; `count` is the number of all rows. */
export function withAllRows(
  tensors: ReadonlyMap<string, SafeTensor>,
  count: number,
): ReadonlyMap<string, SafeTensor> {
  const rows = tensors.get(ROWS);
  const embedding = tensors.get(EMBEDDING);
  if (!rows || !embedding) return tensors;
  const ids = rows.data instanceof Int32Array ? Array.from(rows.data) : [];
  const [stored, width] = embedding.shape;
  const areRows = ids.every((id, i) => id > (ids[i - 1] ?? -1) && id < count);
  if (embedding.shape.length !== 2 || width === undefined || stored !== ids.length || !areRows)
    throw new ModelError('bad-file', `'${ROWS}' does not say which rows of '${EMBEDDING}' the file has`);
  const kept = toFloat32(embedding);
  const data = new Float32Array(count * width);
  ids.forEach((id, i) => data.set(kept.subarray(i * width, (i + 1) * width), id * width));
  const all = new Map(tensors).set(EMBEDDING, { dtype: 'F32', shape: [count, width], data });
  all.delete(ROWS);
  return all;
}
