import type { Backend, StridedWalk, Storage, Target } from '../../backend.js';
import { ExecutorError } from '../../error.js';
import { stridesOf } from '../../shape.js';
import { bytesOf } from '../host.js';
import { BINARY, BINARY_KINDS, SHARE_KINDS, UNARY_KINDS, type Share } from '../../elementwise.js';
import { kindOf } from '../kinds.js';
import { Kernels, PARALLEL, precisionOf, THREADS, written } from './kernels.js';
import { addressOf, cudaStorage, seedArguments } from './memory.js';
import { packWalk, type PackedWalk } from './walk.js';

/** A copy is a share, too: of the operand itself. */
const COPY = SHARE_KINDS.length;

/** Least number of terms of a part of a sum. */
const TERMS_OF_BLOCK = 4096;
const TERMS_OF_THREAD = 32;
const MAX_SLICES = 1024;

/** Elementwise ops, casts, dropout, strided copies and sums. */
export function elementwise(
  kernels: Kernels,
): Pick<
  Backend,
  | 'fill'
  | 'cast'
  | 'refreshCopy'
  | 'copyStrided'
  | 'unary'
  | 'unaryBackward'
  | 'binary'
  | 'binaryBackward'
  | 'dropout'
> {
  const { device } = kernels;
  const fill = {
    ...kernels.storages('elementwise', 'fill', 'pid'),
    i32: device.kernel('elementwise', 'fill_i32', 'pid'),
  };
  const cast = (from: string) => ({
    ...kernels.storages('elementwise', `cast_${from}`, 'ppii'),
    i32: device.kernel('elementwise', `cast_${from}_i32`, 'ppii'),
  });
  const casts = { f32: cast('f32'), f64: cast('f64'), i32: cast('i32'), bf16: cast('bf16') };
  const unary = kernels.precisions('elementwise', 'unary', 'ippidd');
  const unaryBackward = kernels.precisions('elementwise', 'unaryBackward', 'ippppiddi');
  const dropout = kernels.precisions('elementwise', 'dropout', 'ppidddpi');
  const binary = kernels.precisions('walk', 'binary', 'iwpppii');
  const byThread = kernels.precisions('walk', 'sumByThread', 'idwppppipiii');
  const byBlock = kernels.precisions('walk', 'sumByBlock', 'idwppppipiii');
  const addSlices = kernels.precisions('walk', 'addWalkSlices', 'wpipiii');
  const copyWords = device.kernel('walk', 'copyWords_i32', 'wppii');

  /** to (+)= the share at each place of the walk, summed over the dimensions in which `to` (operand `target`) has stride 0. */
  function sum(
    [share, factor]: readonly [share: number, factor: number],
    walk: PackedWalk,
    [self, other, gradient]: readonly [self: number, other: number, gradient: number],
    to: number,
    target: number,
    precision: 'f32' | 'f64',
    accumulate: number,
  ): void {
    const { words, elements, terms, termsAreNeighbours } = walk;
    if (elements === 0) return;
    const blocks = termsAreNeighbours && terms > 32;
    const fours = blocks ? walk.termsInFours : walk.elementsInFours;
    const threads = fours ? elements / 4 : elements;
    const wanted = blocks
      ? Math.min((2 * PARALLEL) / elements, terms / TERMS_OF_BLOCK)
      : Math.min((PARALLEL * THREADS) / threads, terms / TERMS_OF_THREAD);
    const slices = Math.max(1, Math.min(Math.ceil(wanted), MAX_SLICES));
    const launch = (partial: number): void => {
      const [x = 1] = blocks ? [kernels.blocks(elements)] : kernels.gridFor(threads);
      const kernel = (blocks ? byBlock : byThread)[precision];
      kernel(
        [x, slices],
        THREADS,
        0,
        ...[share, factor, words, self, other, gradient],
        ...[to, target, partial, elements, accumulate, Number(fours)],
      );
    };
    if (slices === 1) return launch(0);
    kernels.withScratch('f64', slices * elements, ({ block }) => {
      launch(block.address);
      const [grid, threads] = kernels.gridForSlices(elements, slices);
      addSlices[precision](
        grid,
        threads,
        0,
        ...[words, block.address, slices, to, target, elements, accumulate],
      );
    });
  }

  function addShare(
    [share, factor]: Share,
    { shape, strides }: StridedWalk,
    [self, other, gradY]: readonly [Storage, Storage, Storage],
    { storage, accumulate }: Target,
  ): void {
    // The gradient of an operand lies as the operand does.
    const walk = packWalk({ shape, strides: [...strides, stridesOf(shape)] }, 0, 2);
    const from = [addressOf(self), addressOf(other), addressOf(gradY)] as const;
    sum(
      [kindOf(SHARE_KINDS, share), factor],
      walk,
      from,
      addressOf(written(storage)),
      0,
      precisionOf(storage),
      Number(accumulate),
    );
  }

  function convert(x: Storage, { storage, accumulate }: Target): void {
    const { length } = written(storage);
    if (length === 0) return;
    const kernel = casts[x.dtype][storage.dtype];
    kernel(
      kernels.gridFor(length),
      THREADS,
      0,
      ...[addressOf(x), addressOf(storage), length, Number(accumulate)],
    );
  }

  return {
    fill: (y, number) => {
      const { length, dtype } = written(y);
      // As a typed array converts: what C++ makes of a NaN or a number out of range is undefined.
      const value = dtype === 'i32' ? number | 0 : number;
      if (length > 0) fill[dtype](kernels.gridFor(length), THREADS, 0, addressOf(y), length, value);
      if (dtype === 'i32') cudaStorage(y).range = [value, value];
    },
    cast: convert,
    refreshCopy: (x, y) => device.untraced(() => convert(x, { storage: y, accumulate: false })),
    copyStrided: (walk, x, offsetX, { storage, accumulate }, offsetY) => {
      const packed = packWalk(walk, 1, 0, offsetX % 4 === 0 && offsetY % 4 === 0);
      const size = bytesOf(x.dtype);
      const [from, to] = [addressOf(x) + offsetX * size, addressOf(written(storage)) + offsetY * size];
      if (x.dtype !== 'i32')
        return sum([COPY, 1], packed, [from, 0, 0], to, 1, precisionOf(x), Number(accumulate));
      if (packed.terms !== 1) throw new ExecutorError('dtype', 'cuda: sums are of f32 or f64, given i32');
      if (packed.elements > 0)
        copyWords(
          kernels.gridFor(packed.elements),
          THREADS,
          0,
          ...[packed.words, from, to, packed.elements, Number(accumulate)],
        );
    },
    unary: (kind, x, y, p, q) => {
      if (y.length === 0) return;
      unary[precisionOf(y)](
        kernels.gridFor(y.length),
        THREADS,
        0,
        ...[kindOf(UNARY_KINDS, kind), addressOf(x), addressOf(y), y.length, p, q],
      );
    },
    unaryBackward: (kind, x, y, gradY, { storage, accumulate }, p, q) => {
      if (y.length === 0) return;
      unaryBackward[precisionOf(y)](
        kernels.gridFor(y.length),
        THREADS,
        0,
        ...[kindOf(UNARY_KINDS, kind), addressOf(x), addressOf(y), addressOf(gradY), addressOf(storage)],
        ...[y.length, p, q, Number(accumulate)],
      );
    },
    binary: (kind, walk, a, b, y) => {
      if (y.length === 0) return;
      const { words, elementsInFours } = packWalk(walk, null);
      binary[precisionOf(y)](
        kernels.gridFor(elementsInFours ? y.length / 4 : y.length),
        THREADS,
        0,
        ...[kindOf(BINARY_KINDS, kind), words, addressOf(a), addressOf(b), addressOf(y)],
        ...[y.length, Number(elementsInFours)],
      );
    },
    binaryBackward: (kind, walk, a, b, gradY, gradA, gradB) => {
      const { shape, strides } = walk;
      const [shareA, shareB] = BINARY[kind].shares;
      if (gradA) addShare(shareA, walk, [a, b, gradY], gradA);
      const swapped = { shape, strides: [strides[1]!, strides[0]!] };
      if (gradB) addShare(shareB, swapped, [b, a, gradY], gradB);
    },
    dropout: (x, { storage, accumulate }, p, seed) => {
      const { length } = storage;
      if (length === 0) return;
      dropout[precisionOf(storage)](
        kernels.gridFor(Math.ceil(length / 4)),
        THREADS,
        0,
        ...[addressOf(x), addressOf(storage), length, p, ...seedArguments(seed), Number(accumulate)],
      );
    },
  };
}
