import { ModelError } from './error.js';
import { toFloat32, type SafeTensor } from './safetensors/tensor.js';

/** The embedding of tokens. */
export const EMBEDDING = 'wte.weight';
/** The token ids of the rows that a file stores, where it leaves some out. */
export const ROWS = 'wte.rows';

/** Embeddings whose rows of zeros files leave out, which what training never met may have; and where they name the rows that they have. */
const TABLES = new Map([
  [EMBEDDING, ROWS],
  ['branch.kinds.weight', 'branch.kinds.rows'],
]);

/** The name under which a file has the indices of the rows of a weight; null for weights that are stored whole. */
export const rowsOf = (weight: string): string | null => TABLES.get(weight) ?? null;

/** Indices of the rows that are not all zero. */
export function usedRows(data: Float32Array, width: number): number[] {
  return Array.from({ length: data.length / width }, (_, row) => row).filter((row) =>
    data.subarray(row * width, (row + 1) * width).some((w) => w !== 0),
  );
}

/** Restores the rows of zeros that `save` left out of a weight; `count` is the number of all rows. */
export function withAllRows(
  tensors: ReadonlyMap<string, SafeTensor>,
  weight: string,
  count: number,
): ReadonlyMap<string, SafeTensor> {
  const name = rowsOf(weight);
  const rows = name === null ? undefined : tensors.get(name);
  const table = tensors.get(weight);
  if (name === null || !rows || !table) return tensors;
  const ids = rows.data instanceof Int32Array ? Array.from(rows.data) : [];
  const [stored, width] = table.shape;
  const areRows = ids.every((id, i) => id > (ids[i - 1] ?? -1) && id < count);
  if (table.shape.length !== 2 || width === undefined || stored !== ids.length || !areRows)
    throw new ModelError('bad-file', `'${name}' does not say which rows of '${weight}' the file has`);
  const kept = toFloat32(table);
  const data = new Float32Array(count * width);
  ids.forEach((id, i) => data.set(kept.subarray(i * width, (i + 1) * width), id * width));
  const all = new Map(tensors).set(weight, { dtype: 'F32', shape: [count, width], data });
  all.delete(name);
  return all;
}
