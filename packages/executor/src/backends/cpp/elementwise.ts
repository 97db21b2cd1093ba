import type { Backend } from '../../backend.js';
import { dataOf, seedOf } from '../host.js';
import { kindOf, UNARY_KINDS } from '../kinds.js';
import { reference } from '../reference/index.js';
import type { KernelLibrary } from './kernels.js';
import { precisions } from './precisions.js';

/** Those from here on have kernels in f32 alone. */
const F32_ONLY = UNARY_KINDS.indexOf('tanh');

/** Functions of one element, dropout and conversions. */
export function elementwise(library: KernelLibrary): Pick<Backend, 'unary' | 'unaryBackward' | 'dropout'> {
  const unary = precisions(library, 'unary', 'ippidd');
  const unaryBackward = precisions(library, 'unary_backward', 'ippppiddi');
  const dropout = precisions(library, 'dropout', 'ppidddi');
  return {
    unary: (kind, x, y, p, q) => {
      const code = kindOf(UNARY_KINDS, kind);
      const to = dataOf(y);
      if (to instanceof Float32Array) unary.f32(code, dataOf(x), to, to.length, p, q);
      else if (code < F32_ONLY) unary.f64(code, dataOf(x), to, to.length, p, q);
      else reference.unary(kind, x, y, p, q);
    },
    unaryBackward: (kind, x, y, gradY, gradX, p, q) => {
      const code = kindOf(UNARY_KINDS, kind);
      const to = dataOf(gradX.storage);
      const add = Number(gradX.accumulate);
      const kernel = to instanceof Float32Array ? unaryBackward.f32 : unaryBackward.f64;
      if (to instanceof Float32Array || code < F32_ONLY)
        kernel(code, dataOf(x), dataOf(y), dataOf(gradY), to, to.length, p, q, add);
      else reference.unaryBackward(kind, x, y, gradY, gradX, p, q);
    },
    dropout: (x, y, p, seed) => {
      const to = dataOf(y.storage);
      const kernel = to instanceof Float32Array ? dropout.f32 : dropout.f64;
      kernel(dataOf(x), to, to.length, p, ...seedOf(seed), Number(y.accumulate));
    },
  };
}
