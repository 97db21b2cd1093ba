import type { Backend } from '../../backend.js';
import { dataOf, seedOf } from '../host.js';
import { UNARY_KINDS } from '../../elementwise.js';
import { kindOf } from '../kinds.js';
import type { KernelLibrary } from './kernels.js';
import { precisionOf, precisions } from './precisions.js';

/** Unary elementwise ops, dropout and casts. */
export function elementwise(library: KernelLibrary): Pick<Backend, 'unary' | 'unaryBackward' | 'dropout'> {
  const unary = precisions(library, 'unary', 'ippidd');
  const unaryBackward = precisions(library, 'unary_backward', 'ippppiddi');
  const dropout = precisions(library, 'dropout', 'ppidddi');
  return {
    unary: (kind, x, y, p, q) => {
      const to = dataOf(y);
      unary[precisionOf(y)](kindOf(UNARY_KINDS, kind), dataOf(x), to, to.length, p, q);
    },
    unaryBackward: (kind, x, y, gradY, { storage, accumulate }, p, q) => {
      const to = dataOf(storage);
      const from = [dataOf(x), dataOf(y), dataOf(gradY)] as const;
      const kernel = unaryBackward[precisionOf(storage)];
      kernel(kindOf(UNARY_KINDS, kind), ...from, to, to.length, p, q, Number(accumulate));
    },
    dropout: (x, y, p, seed) => {
      const to = dataOf(y.storage);
      const kernel = to instanceof Float32Array ? dropout.f32 : dropout.f64;
      kernel(dataOf(x), to, to.length, p, ...seedOf(seed), Number(y.accumulate));
    },
  };
}
