import type { Backend, StridedWalk } from '../../backend.js';
import { dataOf } from '../host.js';
import { sumsUp } from '../reference/elementwise.js';
import { reference } from '../reference/index.js';
import type { KernelLibrary } from './kernels.js';
import { precisionOf, precisions } from './precisions.js';
import { packWalk } from './walk.js';

/** Fills, casts, strided copies and sums. */
export function copies(library: KernelLibrary): Pick<Backend, 'fill' | 'cast' | 'copyStrided'> {
  const fill = precisions(library, 'fill', 'pid');
  const cast = {
    f32: { f32: library.kernel('cast_f32_f32', 'ppii'), f64: library.kernel('cast_f32_f64', 'ppii') },
    f64: { f32: library.kernel('cast_f64_f32', 'ppii'), f64: library.kernel('cast_f64_f64', 'ppii') },
  };
  const copy = precisions(library, 'copy', 'ppipii');
  const sum = precisions(library, 'sum', 'pppi', 'scratchKernel');
  return {
    fill: (y, value) => {
      const to = dataOf(y);
      if (y.dtype === 'i32') to.fill(value);
      else fill[precisionOf(y)](to, to.length, value);
    },
    cast: (x, y) => {
      const { storage, accumulate } = y;
      if (x.dtype === 'i32' || storage.dtype === 'i32') return reference.cast(x, y);
      cast[precisionOf(x)][precisionOf(storage)](dataOf(x), dataOf(storage), x.length, Number(accumulate));
    },
    copyStrided: (walk, x, offsetX, y, offsetY) => {
      const { dtype } = x;
      const packed = packWalk(walk);
      const sums = sumsUp(walk);
      if (
        !packed ||
        (dtype === 'i32' && (sums || y.accumulate)) ||
        (sums && !isPlainSum(walk, offsetX, offsetY))
      )
        return reference.copyStrided(walk, x, offsetX, y, offsetY);
      const [from, to] = [dataOf(x), dataOf(y.storage)];
      const add = Number(y.accumulate);
      // i32 is copied as if it were f32, bit by bit.
      const kernels = dtype === 'f64' ? 'f64' : 'f32';
      if (sums) sum[kernels](packed, from, to, add);
      else copy[kernels](packed, from, offsetX, to, offsetY, add);
    },
  };
}

/** Whether a walk sums a contiguous tensor into one that is contiguous in the dimensions that are kept, as `sum` does. */
function isPlainSum({ shape, strides }: StridedWalk, offsetX: number, offsetY: number): boolean {
  let [inX, inY] = [1, 1];
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] === 1) continue;
    const [x, y] = [strides[0]![d]!, strides[1]![d]!];
    if (x !== inX || (y !== 0 && y !== inY)) return false;
    inX *= shape[d]!;
    if (y !== 0) inY *= shape[d]!;
  }
  return offsetX === 0 && offsetY === 0;
}
