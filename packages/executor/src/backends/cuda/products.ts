import type { Backend, LinearSpec, MatmulSpec, Seed, Storage } from '../../backend.js';
import type { Activation } from '../../elementwise.js';
import { ExecutorError } from '../../error.js';
import { activationKind } from '../kinds.js';
import type { Launch } from './device.js';
import { Kernels, PARALLEL, precisionOf, THREADS } from './kernels.js';
import { addressOf, seedArguments } from './memory.js';
import { matmulPrecision } from '../../precision.js';
import type { rowSums } from './sums.js';

/** Members of Product and of Epilogue in kernels/cuda/matmul.h, between them A, B and y, and the partial sums after them. */
const MATMUL = '(iiiiiiiiii)ppp(pppddddpi)p';
const SLICES = '(iiiiiiiiii)p(pppddddpi)p';

/**
 * How sums are cut into slices: for how many blocks of rows × columns results, and from how many tiles of `depth` terms along k. The
 * same for both tile sizes, so that bits do not depend on the choice.
 */
const TILES = { rows: 64, columns: 64, depth: 16, parallel: PARALLEL, fewest: 8 } as const;
const PANELS = { rows: 128, columns: 256, depth: 64, parallel: 128, fewest: 4 } as const;
const MAX_SLICES = 64;

/** Of kernels/cuda/matmul_warpgroup.cu: threads of a block, bytes of struct Shared, and rows that a block lays out. */
const WARPGROUPS = { threads: 384, shared: 218_112, packedRows: 32 } as const;
/** The most blocks of a grid in its second dimension. */
const MOST_IN_Y = 65_535;

/** The epilogue of a product; addresses, 0 where not wanted. */
interface Epilogue {
  readonly bias: number;
  readonly residual: number;
  readonly preactivation: number;
  readonly activation: Activation | null;
  readonly dropout: number;
  readonly seed: Seed;
  readonly accumulate: boolean;
}
const NOTHING_MORE: Epilogue = {
  bias: 0,
  residual: 0,
  preactivation: 0,
  activation: null,
  dropout: 0,
  seed: [0, 0],
  accumulate: false,
};

/** Matrix products and linear layers. */
export function products(
  kernels: Kernels,
  { addColumns, addRows }: ReturnType<typeof rowSums>,
): Pick<Backend, 'matmul' | 'linear' | 'linearBackward'> {
  const { device } = kernels;
  const small = kernels.precisions('matmul', 'matmul64', MATMUL);
  const large = device.kernel('matmul', 'matmul128_f32', MATMUL);
  const tensorCores = {
    bf16: device.kernel('matmul_tensor', 'matmulBf16_f32', MATMUL),
    tf32: device.kernel('matmul_tensor', 'matmulTf32_f32', MATMUL),
  };
  const pack = device.kernel('matmul_warpgroup', 'packBf16_f32', 'ppiiiiii');
  const panels = device.kernel('matmul_warpgroup', 'matmulPanels_f32', MATMUL);
  const warpgroups = {
    bf16: device.kernel('matmul_warpgroup', 'warpgroupBf16_f32', MATMUL),
    tf32: device.kernel('matmul_warpgroup', 'warpgroupTf32_f32', MATMUL),
  };
  const slicesOf = kernels.precisions('matmul', 'matmulSlices', SLICES);
  const linearBackward = kernels.precisions('elementwise', 'linearBackward', 'ppppiiidddp');

  function multiply(spec: MatmulSpec, a: Storage, b: Storage, y: Storage, more: Epilogue): void {
    const { batch, m, n, k, transposeA, transposeB, strideA, strideB, strideC } = spec;
    if (m === 0 || n === 0 || batch === 0) return;
    const precision = precisionOf(y);
    const matrices = strideC === 0 ? 1 : batch;
    const rounded = precision === 'f32' ? roundedTo() : null;
    const inPanels = rounded === 'bf16' && device.capability === 90 && matrices === 1 && suitsPanels(spec);
    const byWarpgroups = inPanels || (rounded !== null && device.capability === 90 && isAligned(spec, a, b));
    // Few blocks with long sums leave the device idle: gradients of weights, which are sums over all rows, are cut into slices.
    // Products with a result for each row are not, so that their bits do not depend on the number of rows.
    const cut = byWarpgroups ? PANELS : TILES;
    const tiles = Math.ceil(k / cut.depth) * (strideC === 0 ? batch : 1);
    const blocks = (rows: number, columns = rows): number =>
      Math.ceil(m / rows) * Math.ceil(n / columns) * matrices;
    const addsRows = transposeA || (strideC === 0 && batch > 1);
    const wanted = addsRows ? Math.min(cut.parallel / blocks(cut.rows, cut.columns), tiles / cut.fewest) : 1;
    const slices = Math.max(1, Math.min(Math.floor(wanted), MAX_SLICES));
    const product = [
      batch,
      m,
      n,
      k,
      Number(transposeA),
      Number(transposeB),
      strideA,
      strideB,
      strideC,
      slices,
    ];
    const epilogue = [
      ...[more.bias, more.residual, more.preactivation, activationKind(more.activation), more.dropout],
      ...seedArguments(more.seed),
      Number(more.accumulate),
    ];
    const launch = (partial: number): void => {
      const rest = [addressOf(y), ...epilogue, partial];
      if (byWarpgroups) {
        const launchOne = (kernel: Launch, a: number, b: number): void => {
          const grid = Math.min(blocks(PANELS.rows, PANELS.columns) * slices, device.multiprocessors);
          kernel([grid], WARPGROUPS.threads, WARPGROUPS.shared, ...product, a, b, ...rest);
        };
        if (inPanels)
          return withPanels(spec, a, b, (panelsA, panelsB) => launchOne(panels, panelsA, panelsB));
        return launchOne(warpgroups[rounded], addressOf(a), addressOf(b));
      }
      const [kernel, size] = chosen(precision, rounded, blocks);
      kernel([blocks(size) * slices], THREADS, 0, ...product, addressOf(a), addressOf(b), ...rest);
    };
    if (slices === 1) return launch(0);
    kernels.withScratch(precision, slices * matrices * m * n, ({ block }) => {
      launch(block.address);
      slicesOf[precision](
        kernels.gridFor(matrices * m * n),
        THREADS,
        0,
        ...[...product, addressOf(y), ...epilogue, block.address],
      );
    });
  }

  /** Whether warpgroups save more time than laying out their operands takes. */
  const suitsPanels = ({ batch, m, n, k }: MatmulSpec): boolean =>
    (m * n) / (m + n) >= 512 && batch * k >= 256;

  /** Whether all lines of both matrices start at a multiple of 16 bytes. */
  function isAligned(spec: MatmulSpec, a: Storage, b: Storage): boolean {
    const { m, n, k, transposeA, transposeB, strideA, strideB } = spec;
    const lengths = [transposeA ? m : k, transposeB ? k : n, strideA, strideB];
    return lengths.every((length) => length % 4 === 0) && (addressOf(a) | addressOf(b)) % 16 === 0;
  }

  /** Both matrices rounded to bf16 and laid out for warpgroups, for the time of `use`. */
  function withPanels(
    { batch, m, n, k, transposeA, transposeB, strideA, strideB }: MatmulSpec,
    a: Storage,
    b: Storage,
    use: (panelsA: number, panelsB: number) => void,
  ): void {
    const panels = batch * Math.ceil(k / PANELS.depth);
    const rowsA = Math.ceil(m / PANELS.rows) * PANELS.rows;
    const rowsB = Math.ceil(n / PANELS.columns) * PANELS.columns;
    const bytes = (rows: number): number => panels * rows * PANELS.depth * 2;
    const packed = (
      from: Storage,
      to: number,
      ...[stride, rows, padded, inner]: [number, number, number, boolean]
    ) =>
      pack(
        [padded / WARPGROUPS.packedRows, Math.min(panels, MOST_IN_Y)],
        THREADS,
        0,
        ...[addressOf(from), to, batch, stride, rows, padded, k, Number(inner)],
      );
    kernels.withScratch('f32', (bytes(rowsA) + bytes(rowsB)) / 4, ({ block: { address } }) => {
      packed(a, address, strideA, m, rowsA, transposeA);
      packed(b, address + bytes(rowsA), strideB, n, rowsB, !transposeB);
      use(address, address + bytes(rowsA));
    });
  }

  /** The format that f32 inputs are rounded to; null for f32 itself. */
  function roundedTo(): 'bf16' | 'tf32' | null {
    const wanted = matmulPrecision();
    if (wanted === 'highest') return null;
    if (device.capability < 80)
      throw new ExecutorError(
        'device',
        `cuda: matrix products of precision '${wanted}' need compute capability 8.0, '${device.name}' has ${device.capability / 10}`,
      );
    return wanted === 'high' ? 'tf32' : 'bf16';
  }

  /** The kernel and the size of its tiles. */
  function chosen(
    precision: 'f32' | 'f64',
    rounded: 'bf16' | 'tf32' | null,
    blocks: (size: number) => number,
  ): [Launch, number] {
    if (rounded !== null) return [tensorCores[rounded], 128];
    return precision === 'f32' && blocks(128) >= device.multiprocessors
      ? [large, 128]
      : [small[precision], 64];
  }

  return {
    matmul: (spec, a, b, { storage, accumulate }) =>
      multiply(spec, a, b, storage, { ...NOTHING_MORE, accumulate }),
    linear: ({ m, n, k, ...then }: LinearSpec, x, weight, bias, residual, y, preactivation) =>
      multiply(
        { batch: 1, m, n, k, transposeA: false, transposeB: true, strideA: 0, strideB: 0, strideC: 0 },
        x,
        weight,
        y,
        {
          ...{
            bias: addressOf(bias),
            residual: addressOf(residual),
            preactivation: addressOf(preactivation),
          },
          ...{ ...then, accumulate: false },
        },
      ),
    linearBackward: ({ m, n, activation, dropout, seed }, gradY, preactivation, gradSum, gradBias) => {
      const precision = precisionOf(gradY);
      if (gradSum)
        addColumns(precision, m, n, gradBias, (grid, partial) =>
          linearBackward[precision](
            grid,
            THREADS,
            0,
            ...[addressOf(gradY), addressOf(preactivation), addressOf(gradSum), partial, m, n],
            ...[activationKind(activation), dropout],
            ...seedArguments(seed),
          ),
        );
      else if (gradBias) addRows(gradY, null, m, n, gradBias);
    },
  };
}
