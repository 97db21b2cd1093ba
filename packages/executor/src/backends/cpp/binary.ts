import type { Backend, HostArray, StridedWalk, Target } from '../../backend.js';
import { dataOf } from '../host.js';
import { BINARY_KINDS, kindOf, SHARES, SHARES_OF, type Share } from '../kinds.js';
import { reference } from '../reference/index.js';
import type { KernelLibrary } from './kernels.js';
import { precisions } from './precisions.js';
import { packWalk } from './walk.js';

/** Functions of two tensors. */
export function binary(library: KernelLibrary): Pick<Backend, 'binary' | 'binaryBackward'> {
  const forward = precisions(library, 'binary', 'ipppp');
  const share = precisions(library, 'share', 'idpppppi');

  function addShare(
    [kind, factor]: Share,
    { shape, strides }: StridedWalk,
    [self, other]: readonly [HostArray, HostArray],
    gradY: HostArray,
    { storage, accumulate }: Target,
  ): void {
    const into = dataOf(storage);
    const kernel = into instanceof Float32Array ? share.f32 : share.f64;
    const packed = packWalk({ shape, strides })!;
    kernel(kindOf(SHARES, kind), factor, packed, self, other, gradY, into, Number(accumulate));
  }

  return {
    binary: (kind, walk, a, b, y) => {
      const packed = packWalk(walk);
      if (!packed) return reference.binary(kind, walk, a, b, y);
      const to = dataOf(y);
      const kernel = to instanceof Float32Array ? forward.f32 : forward.f64;
      kernel(kindOf(BINARY_KINDS, kind), packed, dataOf(a), dataOf(b), to);
    },
    binaryBackward: (kind, walk, a, b, gradY, gradA, gradB) => {
      if (!packWalk(walk)) return reference.binaryBackward(kind, walk, a, b, gradY, gradA, gradB);
      const { shape, strides } = walk;
      const [shareA, shareB] = SHARES_OF[kind];
      const [dataA, dataB, g] = [dataOf(a), dataOf(b), dataOf(gradY)];
      if (gradA) addShare(shareA, walk, [dataA, dataB], g, gradA);
      const swapped = { shape, strides: [strides[1]!, strides[0]!] };
      if (gradB) addShare(shareB, swapped, [dataB, dataA], g, gradB);
    },
  };
}
