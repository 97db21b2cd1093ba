import type {
  Activation,
  AttentionSpec,
  Backend,
  LinearSpec,
  MatmulSpec,
  Seed,
  Storage,
} from '../../backend.js';
import { ExecutorError } from '../../error.js';
import { bytesOf } from '../host.js';
import { activationKind } from '../kinds.js';
import type { Launch } from './device.js';
import { Kernels, PARALLEL, precisionOf, THREADS } from './kernels.js';
import { addressOf, seedArguments } from './memory.js';
import { matmulPrecision } from './precision.js';
import type { rowSums } from './sums.js';

/** Members of Product and of Epilogue in kernels/cuda/matmul.h, between them A, B and y, and the partial sums after them. */
const MATMUL = '(iiiiiiiiii)ppp(pppddddpi)p';
const SLICES = '(iiiiiiiiii)p(pppddddpi)p';
/** Members of Attention in kernels/cuda/attention.cu. */
const ATTENTION = '(iiiidddp)';

/**
 * How sums are cut into slices: for how many blocks of rows × columns results, and from how many tiles of `depth` numbers
 * along k on. The same for tiles of either size, so that bits do not depend on which is taken.
 */
const TILES = { rows: 64, columns: 64, depth: 16, parallel: PARALLEL, fewest: 8 } as const;
const PANELS = { rows: 128, columns: 256, depth: 64, parallel: 128, fewest: 4 } as const;
const MAX_SLICES = 64;

/** Of kernels/cuda/matmul_warpgroup.cu: threads of a block, bytes of struct Shared, and rows that a block lays out. */
const WARPGROUPS = { threads: 288, shared: 218_112, packedRows: 32 } as const;
/** The most blocks of a grid in its second dimension. */
const MOST_IN_Y = 65_535;

/** Rows of a tile of attention, and threads of its blocks. */
const TILE = 32;
const ATTENTION_THREADS = 128;
const WIDEST_HEAD = 128;

/** What follows a product; addresses, 0 where not wanted. */
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

/** Matrix products, linear layers and attention. */
export function products(
  kernels: Kernels,
  { addColumns, addRows }: ReturnType<typeof rowSums>,
): Pick<Backend, 'matmul' | 'linear' | 'linearBackward' | 'attention' | 'attentionBackward'> {
  const { device } = kernels;
  const small = kernels.precisions('matmul', 'matmul64', MATMUL);
  const large = device.kernel('matmul', 'matmul128_f32', MATMUL);
  const tensorCores = {
    bf16: device.kernel('matmul_tensor', 'matmulBf16_f32', MATMUL),
    tf32: device.kernel('matmul_tensor', 'matmulTf32_f32', MATMUL),
  };
  const pack = device.kernel('matmul_warpgroup', 'packBf16_f32', 'ppiiiiii');
  const warpgroups = device.kernel('matmul_warpgroup', 'matmulWarpgroup_f32', MATMUL);
  const slicesOf = kernels.precisions('matmul', 'matmulSlices', SLICES);
  const linearBackward = kernels.precisions('elementwise', 'linearBackward', 'ppppiiidddp');
  const deltas = kernels.precisions('attention', 'attentionDeltas', `${ATTENTION}ppp`);
  /** Kernels for heads of up to 32·perLane. */
  const attentionOf = (perLane: number, precision: 'f32' | 'f64') => ({
    forward: device.kernel('attention', `attention${perLane}_${precision}`, `${ATTENTION}ppp`),
    gradQ: device.kernel('attention', `attentionGradQ${perLane}_${precision}`, `${ATTENTION}pppppi`),
    gradKV: device.kernel('attention', `attentionGradKV${perLane}_${precision}`, `${ATTENTION}pppppi`),
  });
  const narrow = attentionOf(1, 'f32');
  const middle = attentionOf(2, 'f32');
  const wide = { f32: attentionOf(4, 'f32'), f64: attentionOf(4, 'f64') };
  const attentionKernels = (width: number, precision: 'f32' | 'f64') =>
    precision === 'f64' || width > 64 ? wide[precision] : width > 32 ? middle : narrow;

  function multiply(spec: MatmulSpec, a: Storage, b: Storage, y: Storage, more: Epilogue): void {
    const { batch, m, n, k, transposeA, transposeB, strideA, strideB, strideC } = spec;
    if (m === 0 || n === 0 || batch === 0) return;
    const precision = precisionOf(y);
    const matrices = strideC === 0 ? 1 : batch;
    const inPanels = precision === 'f32' && matrices === 1 && suitWarpgroups(spec);
    // Few blocks with long sums leave the device idle: gradients of weights, whose sums are over all rows. Those are cut into
    // slices. A product that makes a result of each row is not, so that its bits do not depend on how many rows there are.
    const cut = inPanels ? PANELS : TILES;
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
      if (inPanels)
        return withPanels(spec, a, b, (panelsA, panelsB) => {
          const grid = Math.min(blocks(PANELS.rows, PANELS.columns) * slices, device.multiprocessors);
          warpgroups([grid], WARPGROUPS.threads, WARPGROUPS.shared, ...product, panelsA, panelsB, ...rest);
        });
      const [kernel, size] = chosen(precision, blocks);
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

  /** Whether there are such, and they gain more than it takes to lay out what they multiply. */
  function suitWarpgroups({ batch, m, n, k }: MatmulSpec): boolean {
    return (
      matmulPrecision() === 'medium' &&
      device.capability === 90 &&
      (m * n) / (m + n) >= 512 &&
      batch * k >= 256
    );
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

  /** The kernel and the size of its tiles. */
  function chosen(precision: 'f32' | 'f64', blocks: (size: number) => number): [Launch, number] {
    if (precision === 'f64') return [small.f64, 64];
    const wanted = matmulPrecision();
    if (wanted !== 'highest') {
      if (device.capability < 80)
        throw new ExecutorError(
          'device',
          `cuda: matrix products of precision '${wanted}' need compute capability 8.0, '${device.name}' has ${device.capability / 10}`,
        );
      return [wanted === 'high' ? tensorCores.tf32 : tensorCores.bf16, 128];
    }
    return blocks(128) >= device.multiprocessors ? [large, 128] : [small.f32, 64];
  }

  function attentionShape({ batch, time, channels, heads, dropout, seed }: AttentionSpec) {
    const width = channels / heads;
    if (width > WIDEST_HEAD)
      throw new ExecutorError('shape', `cuda: attention heads are up to ${WIDEST_HEAD} wide, given ${width}`);
    return {
      width,
      grid: [batch * heads, Math.ceil(time / TILE)] as const,
      row: (Math.ceil(width / 4) | 1) * 4,
      args: [batch, time, channels, heads, dropout, ...seedArguments(seed)],
    };
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
    attention: (spec, qkv, y, logSums) => {
      if (y.length === 0) return;
      const { width, grid, row, args } = attentionShape(spec);
      const precision = precisionOf(y);
      const shared = (3 * TILE * row + TILE * TILE) * bytesOf(precision);
      const { forward } = attentionKernels(width, precision);
      forward(grid, ATTENTION_THREADS, shared, ...args, addressOf(qkv), addressOf(y), addressOf(logSums));
    },
    attentionBackward: (spec, qkv, y, logSums, gradY, { storage, accumulate }) => {
      if (y.length === 0) return;
      const { width, grid, row, args } = attentionShape(spec);
      const precision = precisionOf(y);
      const lines = spec.batch * spec.heads * spec.time;
      const bytes = (numbers: number): number => numbers * bytesOf(precision);
      const { gradQ, gradKV } = attentionKernels(width, precision);
      kernels.withScratch(precision, lines, ({ block: { address } }) => {
        const warps = kernels.gridForWarps(lines);
        deltas[precision](warps, THREADS, 0, ...args, addressOf(y), addressOf(gradY), address);
        const rest = [addressOf(qkv), addressOf(logSums), address, addressOf(gradY)];
        const to = [addressOf(storage), Number(accumulate)];
        const tiles = 4 * TILE * row;
        gradQ(grid, ATTENTION_THREADS, bytes(tiles + TILE * TILE), ...args, ...rest, ...to);
        gradKV(grid, ATTENTION_THREADS, bytes(tiles + 2 * TILE * TILE), ...args, ...rest, ...to);
      });
    },
  };
}
