import type { Backend, LinearSpec, MatmulSpec, Seed, Storage } from '../../backend.js';
import type { Activation } from '../../elementwise.js';
import { ExecutorError } from '../../error.js';
import { activationKind } from '../kinds.js';
import { MOST_IN_Y, type Launch } from './device.js';
import { computedIn, floatOf, Kernels, PARALLEL, THREADS } from './kernels.js';
import { addressOf, seedArguments } from './memory.js';
import { matmulPrecision } from '../../precision.js';
import type { rowSums } from './sums.js';

/** Members of Product and of Epilogue in kernels/cuda/matmul.h, between them A, B and y, and the partial sums after them. */
const MATMUL = '(iiiiiiiiii)ppp(pppddddpi)p';
/** The same with tensor maps of A and B. */
const WARPGROUP = '(iiiiiiiiii)ttp(pppddddpi)p';
const SLICES = '(iiiiiiiiii)p(pppddddpi)p';

/**
 * How sums are cut into slices: for how many blocks of rows × columns results, and from how many tiles of `depth` terms along k. The
 * same for both tile sizes, so that bits do not depend on the choice.
 */
const TILES = { rows: 64, columns: 64, depth: 16, parallel: PARALLEL, fewest: 8 } as const;
const WARPGROUP_TILES = { rows: 128, columns: 256, depth: 64, parallel: 128, fewest: 4 } as const;
const MAX_SLICES = 64;

/** Of kernels/cuda/matmul_warpgroup.cu: threads of a block, bytes of struct Shared; numbers along k and rows that a block lays out. */
const WARPGROUPS = { threads: 384, shared: 218_112, laidDepth: 64, laidRows: 32 } as const;
/** What warpgroups multiply: numbers of 16 bytes (as words, laid out, in multiples of `words`), numbers of a row of a tile. */
const NUMBERS = {
  bf16: { perWord: 2, words: 4, depth: 64 },
  tf32: { perWord: 1, words: 8, depth: 32 },
} as const;
/**
 * Operands are laid out for warpgroups where a product has so many results for each row to be laid out. An estimate: 8 bytes a number at
 * 3 TB/s against what a multiply-add takes longer without warpgroups, of TF32 1/72 - 1/300 and of bf16 1/250 - 1/600 ns/1000.
 */
const RESULTS_A_LAID_ROW = { bf16: 512, tf32: 128 } as const;
/** The fewest terms of a sum for that. */
const LAID_TERMS = 256;
/** Positions in a tensor map have 31 bits, strides 40. Tiles are counted in 31 bits, too. */
const MOST_POSITIONS = 2 ** 31;
const MOST_STRIDE = 2 ** 40;

/** An operand of a product as rows along k: `inner` where the numbers along k are not beside each other. */
interface Operand {
  readonly storage: Storage;
  readonly matrices: number;
  readonly stride: number;
  readonly rows: number;
  readonly k: number;
  readonly inner: boolean;
}

/** The epilogue of a product, or with `backward` that of `matmulBackward`; addresses, 0 where not wanted. */
interface Epilogue {
  readonly bias: number;
  readonly residual: number;
  readonly preactivation: number;
  readonly activation: Activation | null;
  readonly dropout: number;
  readonly seed: Seed;
  readonly accumulate: boolean;
  readonly backward: boolean;
}
const NOTHING_MORE: Epilogue = {
  bias: 0,
  residual: 0,
  preactivation: 0,
  activation: null,
  dropout: 0,
  seed: [0, 0],
  accumulate: false,
  backward: false,
};

/** Matrix products and linear layers. */
export function products(
  kernels: Kernels,
  { addColumns, addRows }: ReturnType<typeof rowSums>,
): Pick<Backend, 'matmul' | 'matmulBackward' | 'linear' | 'linearBackward'> {
  const { device } = kernels;
  /** A kernel with each epilogue. */
  const both = (module: string, name: string, dtype: 'f32' | 'f64' | 'bf16', types = MATMUL) => {
    const plain = device.kernel(module, `${name}_${dtype}`, types);
    const backward = device.kernel(module, `${name}Backward_${dtype}`, types);
    return ({ backward: isBackward }: Epilogue): Launch => (isBackward ? backward : plain);
  };
  const small = { f32: both('matmul', 'matmul64', 'f32'), f64: both('matmul', 'matmul64', 'f64') };
  const large = both('matmul', 'matmul128', 'f32');
  const tensorCores = {
    bf16: both('matmul_tensor', 'matmulBf16', 'f32'),
    tf32: both('matmul_tensor', 'matmulTf32', 'f32'),
  };
  /** Of operands stored as bf16, by the storage of results. */
  const ofBf16 = {
    f32: both('matmul_tensor', 'matmulOfBf16', 'f32'),
    bf16: both('matmul_tensor', 'matmulOfBf16', 'bf16'),
  };
  const roundToBf16 = device.kernel('elementwise', 'cast_f32_bf16', 'ppii');
  const warpgroupsOf = (name: 'Bf16' | 'Tf32', dtype: 'f32' | 'bf16') => ({
    layOut: device.kernel('matmul_warpgroup', `layOut${name}_${dtype}`, 'ppiiiiii'),
    multiply: both('matmul_warpgroup', `warpgroup${name}`, dtype, WARPGROUP),
  });
  const warpgroups = {
    bf16: { f32: warpgroupsOf('Bf16', 'f32'), bf16: warpgroupsOf('Bf16', 'bf16') },
    tf32: { f32: warpgroupsOf('Tf32', 'f32') },
  };
  const slicesOf = kernels.precisions('matmul', 'matmulSlices', SLICES);
  const linearBackward = kernels.storages('elementwise', 'linearBackward', 'ppppiiidddp');

  function multiply(spec: MatmulSpec, a: Storage, b: Storage, y: Storage, more: Epilogue): void {
    const { batch, m, n, k, transposeA, transposeB, strideA, strideB, strideC } = spec;
    if (m === 0 || n === 0 || batch === 0) return;
    const precision = computedIn(y);
    const matrices = strideC === 0 ? 1 : batch;
    const hasBf16 = [a, b, y].some(({ dtype }) => dtype === 'bf16');
    const rounded = precision === 'f32' ? roundedTo(hasBf16) : null;
    const operands = [
      { storage: a, stride: strideA, rows: m, inner: transposeA },
      { storage: b, stride: strideB, rows: n, inner: !transposeB },
    ].map((of): Operand => ({ ...of, k, matrices: of.stride === 0 ? 1 : batch }));
    const byWarpgroups =
      rounded !== null && device.capability === 90 && suitsWarpgroups(rounded, operands, batch * k, m * n);
    // Few blocks with long sums leave the device idle: gradients of weights, which are sums over all rows, are cut into slices.
    // Products with a result for each row are not, so that with one kernel their bits do not depend on the number of rows.
    const cut = byWarpgroups ? WARPGROUP_TILES : TILES;
    const tiles = Math.ceil(k / cut.depth) * (strideC === 0 ? batch : 1);
    const blocks = (rows: number, columns = rows): number =>
      Math.ceil(m / rows) * Math.ceil(n / columns) * matrices;
    // No kernel adds up slices of bf16, nor ends them with the other epilogue.
    const addsRows = !more.backward && (transposeA || (strideC === 0 && batch > 1)) && y.dtype !== 'bf16';
    const wanted = addsRows ? Math.min(cut.parallel / blocks(cut.rows, cut.columns), tiles / cut.fewest) : 1;
    const slices = Math.max(1, Math.min(Math.floor(wanted), MAX_SLICES));
    const results = blocks(cut.rows, cut.columns) * slices;
    if (Math.max(tiles, results) >= MOST_POSITIONS)
      throw new ExecutorError(
        'shape',
        `cuda: products have fewer than ${MOST_POSITIONS} tiles of results, and of terms; ${batch} of ${m} × ${n} × ${k} have ${results} and ${tiles}`,
      );
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
        const grid = Math.min(results, device.multiprocessors);
        return withMaps(rounded, operands, (maps) =>
          warpgroupKernels(rounded, y).multiply(more)(
            [grid],
            WARPGROUPS.threads,
            WARPGROUPS.shared,
            ...product,
            ...maps,
            ...rest,
          ),
        );
      }
      if (hasBf16)
        return withBf16(a, (a) =>
          withBf16(b, (b) =>
            ofBf16[y.dtype === 'bf16' ? 'bf16' : 'f32'](more)(
              [blocks(128) * slices],
              THREADS,
              0,
              ...[...product, addressOf(a), addressOf(b), ...rest],
            ),
          ),
        );
      const [kernel, size] = chosen(precision, rounded, blocks);
      kernel(more)([blocks(size) * slices], THREADS, 0, ...product, addressOf(a), addressOf(b), ...rest);
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

  /** The kernels of warpgroups that lay out or write a storage. */
  const warpgroupKernels = (rounded: 'bf16' | 'tf32', { dtype }: Storage) =>
    rounded === 'bf16' && dtype === 'bf16' ? warpgroups.bf16.bf16 : warpgroups[rounded].f32;

  /** Calls `use` with a storage in bf16: `x` itself, or rounded to it. */
  function withBf16(x: Storage, use: (x: Storage) => void): void {
    if (x.dtype === 'bf16') return use(x);
    const { length } = x;
    kernels.withScratch('bf16', length, (rounded) => {
      roundToBf16(kernels.gridFor(length), THREADS, 0, addressOf(x), addressOf(rounded), length, 0);
      use(rounded);
    });
  }

  /** Whether tensor maps can read an operand where it is. */
  function isDirect(rounded: 'bf16' | 'tf32', { storage, stride, rows, k, inner }: Operand): boolean {
    // Numbers of 16 bytes.
    const unit = rounded === 'bf16' ? 8 : 4;
    return (
      storage.dtype === (rounded === 'bf16' ? 'bf16' : 'f32') &&
      !inner &&
      addressOf(storage) % 16 === 0 &&
      k % unit === 0 &&
      stride % unit === 0 &&
      (stride === 0 || stride >= rows * k)
    );
  }

  /** Whether warpgroups save more time than laying out their operands takes. */
  function suitsWarpgroups(
    rounded: 'bf16' | 'tf32',
    operands: readonly Operand[],
    terms: number,
    results: number,
  ): boolean {
    const bounded = operands.every(
      ({ rows, k, matrices, stride }) =>
        Math.max(rows, k, matrices * Math.ceil(k / WARPGROUPS.laidDepth)) < MOST_POSITIONS &&
        4 * Math.max(stride, rows * (k + 8)) < MOST_STRIDE,
    );
    const laid = operands.filter((operand) => !isDirect(rounded, operand));
    const rows = laid.reduce((sum, operand) => sum + operand.rows, 0);
    const pays = terms >= LAID_TERMS && results >= rows * RESULTS_A_LAID_ROW[rounded];
    return bounded && terms > 0 && (rows === 0 || pays);
  }

  /** Tensor maps of both operands, laid out where they must be, for the time of `use`. */
  function withMaps(
    rounded: 'bf16' | 'tf32',
    operands: readonly Operand[],
    use: (maps: readonly BigUint64Array[]) => void,
  ): void {
    const { perWord, words: step, depth } = NUMBERS[rounded];
    const places = operands.map((operand) => {
      const words = isDirect(rounded, operand) ? 0 : Math.ceil(operand.k / perWord / step) * step;
      return { ...operand, words, size: operand.matrices * operand.rows * words };
    });
    const tiles = [WARPGROUP_TILES.rows, WARPGROUP_TILES.columns] as const;
    const mapped = (scratch: number): void => {
      let next = scratch;
      const maps = places.map(({ storage, matrices, stride, rows, k, inner, words, size }, i) => {
        const at = words > 0 ? next : addressOf(storage);
        next += size * 4;
        if (words > 0)
          warpgroupKernels(rounded, storage).layOut(
            [
              Math.ceil(rows / WARPGROUPS.laidRows),
              Math.min(matrices * Math.ceil(k / WARPGROUPS.laidDepth), MOST_IN_Y),
            ],
            THREADS,
            0,
            ...[addressOf(storage), at, matrices, stride, rows, words, k, Number(inner)],
          );
        const row = words > 0 ? words * perWord : k;
        return device.tensorMap({
          ...{ address: at, type: rounded, matrices, rows, columns: k },
          ...{ strides: [row, words > 0 || stride === 0 ? rows * row : stride], tile: [tiles[i]!, depth] },
        });
      });
      use(maps);
    };
    const needed = places.reduce((sum, { size }) => sum + size, 0);
    if (needed === 0) mapped(0);
    else kernels.withScratch('f32', needed, ({ block: { address } }) => mapped(address));
  }

  /** The format that f32 inputs are rounded to; null for f32 itself. */
  function roundedTo(hasBf16: boolean): 'bf16' | 'tf32' | null {
    // Also in a backward pass after another precision was set.
    const wanted = hasBf16 ? 'medium' : matmulPrecision();
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
  ): [(more: Epilogue) => Launch, number] {
    if (rounded !== null) return [tensorCores[rounded], 128];
    return precision === 'f32' && blocks(128) >= device.multiprocessors
      ? [large, 128]
      : [small[precision], 64];
  }

  return {
    matmul: (spec, a, b, { storage, accumulate }) =>
      multiply(spec, a, b, storage, { ...NOTHING_MORE, accumulate }),
    matmulBackward: (spec, a, b, activation, preactivation, y) =>
      multiply(spec, a, b, y, {
        ...NOTHING_MORE,
        ...{ activation, preactivation: addressOf(preactivation), backward: true },
      }),
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
          ...{ ...then, accumulate: false, backward: false },
        },
      ),
    linearBackward: ({ m, n, activation, dropout, seed }, gradY, preactivation, gradSum, gradBias) => {
      if (gradSum)
        addColumns(computedIn(gradY), m, n, gradBias, (grid, partial) =>
          linearBackward[floatOf(gradY)](
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
