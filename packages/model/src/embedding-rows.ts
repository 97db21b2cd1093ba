import { ModelError } from './error.js';
import { toFloat32, type SafeTensor } from './safetensors/tensor.js';

/**
 * Tables of embeddings by the names that files have them under. A table is stored without the rows that are all alike: rows of zeros, which a
 * packed model has for tokens that training never met, or one row that a packed language model has for all of those.
 */
const TABLES = ['wte', 'branch.kinds'] as const;

/** The embedding of tokens. */
export const EMBEDDING = 'wte.weight';
export const ROWS = 'wte.rows';

/** Indices of the rows that are not all zero. */
export function usedRows(data: Float32Array, width: number): number[] {
  return Array.from({ length: data.length / width }, (_, row) => row).filter((row) =>
    data.subarray(row * width, (row + 1) * width).some((w) => w !== 0),
  );
}

export interface TableNames {
  readonly weight: string;
  /** The ids of the rows that a file stores, where it leaves some out. */
  readonly rows: string;
  /** The row of all others, where these are not zero. */
  readonly rest: string;
}

/** The names of the table that a weight is; null for other weights. */
export function tableOf(weight: string): TableNames | null {
  const name = TABLES.find((table) => weight === `${table}.weight`);
  return name === undefined ? null : { weight, rows: `${name}.rows`, rest: `${name}.rest` };
}

/** The rows of a table that are stored, ascending, and the row of all others. */
export interface StoredRows {
  readonly ids: readonly number[];
  readonly rest: Float32Array;
}

/** Which rows of a table differ from the row that it has most often. */
export function storedRows(data: Float32Array, width: number): StoredRows {
  const count = data.length / width;
  const used = usedRows(data, width);
  if (used.length < count) return { ids: used, rest: new Float32Array(width) };
  const row = (id: number): Float32Array => data.subarray(id * width, (id + 1) * width);
  // Rows that begin alike are compared whole.
  const times = new Map<number, { first: number; count: number }>();
  let most = { first: 0, count: 0 };
  for (const id of used) {
    const begun = times.get(data[id * width]!) ?? { first: id, count: 0 };
    begun.count++;
    times.set(data[id * width]!, begun);
    if (begun.count > most.count) most = begun;
  }
  const rest = row(most.first);
  const differs = (id: number): boolean => row(id).some((w, i) => w !== rest[i]);
  return { ids: most.count > 1 ? used.filter(differs) : used, rest: Float32Array.from(rest) };
}

/** Restores the rows of a table that `save` left out; `count` is the number of all rows. */
export function withAllRows(
  tensors: ReadonlyMap<string, SafeTensor>,
  names: TableNames,
  count: number,
): ReadonlyMap<string, SafeTensor> {
  const rows = tensors.get(names.rows);
  const table = tensors.get(names.weight);
  if (!rows || !table) return tensors;
  const ids = rows.data instanceof Int32Array ? Array.from(rows.data) : [];
  const [stored, width] = table.shape;
  const areRows = ids.every((id, i) => id > (ids[i - 1] ?? -1) && id < count);
  if (table.shape.length !== 2 || width === undefined || stored !== ids.length || !areRows)
    throw new ModelError(
      'bad-file',
      `'${names.rows}' does not say which rows of '${names.weight}' the file has`,
    );
  const rest = tensors.get(names.rest);
  if (rest && (rest.shape.join() !== `${width}` || !rest.dtype.includes('F')))
    throw new ModelError('bad-file', `'${names.rest}' is no row of '${names.weight}'`);
  const kept = toFloat32(table);
  const data = new Float32Array(count * width);
  if (rest) {
    const other = toFloat32(rest);
    for (let id = 0; id < count; id++) data.set(other, id * width);
  }
  ids.forEach((id, i) => data.set(kept.subarray(i * width, (i + 1) * width), id * width));
  const all = new Map(tensors).set(names.weight, { dtype: 'F32', shape: [count, width], data });
  all.delete(names.rows);
  all.delete(names.rest);
  return all;
}
