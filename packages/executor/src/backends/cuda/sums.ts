import type { Storage, Target } from '../../backend.js';
import type { Grid } from './device.js';
import { computedIn, floatOf, Kernels, PARALLEL, THREADS, WARP } from './kernels.js';
import { addressOf } from './memory.js';

/** Columns of a block of sumColumns in kernels/cuda/sums.h, and the fewest rows of a slice. */
const COLUMNS = 4 * WARP;
const ROWS_OF_SLICE = 64;

/** Sums over rows, computed in slices. */
export function rowSums(kernels: Kernels) {
  const sumRows = kernels.storages('rows', 'sumRows', 'ppppii');
  const addSlicesOf = kernels.precisions('rows', 'addSlices', 'pipii');

  /** y (n) (+)= Σ over slices (slices, n) of f64. */
  function addSlices(
    precision: 'f32' | 'f64',
    partial: number,
    slices: number,
    n: number,
    { storage, accumulate }: Target,
  ): void {
    const [grid, threads] = kernels.gridForSlices(n, slices);
    addSlicesOf[precision](grid, threads, 0, partial, slices, addressOf(storage), n, Number(accumulate));
  }

  /** y (n) (+)= Σ over `count` rows of what `launch`, a kernel built on sumColumns, computes; without y only the launch. */
  function addColumns(
    precision: 'f32' | 'f64',
    count: number,
    n: number,
    y: Target | null,
    launch: (grid: Grid, partial: number) => void,
  ): void {
    if (n === 0) return;
    const columns = Math.ceil(n / COLUMNS);
    const slices = Math.max(1, Math.ceil(Math.min((2 * PARALLEL) / columns, count / ROWS_OF_SLICE)));
    if (!y) return launch([columns, slices], 0);
    kernels.withScratch('f64', slices * n, ({ block: { address } }) => {
      launch([columns, slices], address);
      addSlices(precision, address, slices, n, y);
    });
  }

  /** y (n) (+)= Σ over the rows of g, or of g times the normalised x. g may be bf16. */
  function addRows(
    g: Storage,
    normal: { readonly x: Storage; readonly stats: Storage } | null,
    count: number,
    n: number,
    y: Target,
  ): void {
    const [x, stats] = [addressOf(normal?.x ?? null), addressOf(normal?.stats ?? null)];
    addColumns(computedIn(g), count, n, y, (grid, partial) =>
      sumRows[floatOf(g)](grid, THREADS, 0, addressOf(g), x, stats, partial, count, n),
    );
  }

  return { addSlices, addColumns, addRows };
}
