import type { Backend, Storage, StridedWalk, Target } from '../../backend.js';
import { dataOf } from '../host.js';
import { BINARY, BINARY_KINDS, SHARE_KINDS, type Share } from '../../elementwise.js';
import { kindOf } from '../kinds.js';
import { reference } from '../reference/index.js';
import type { KernelLibrary } from './kernels.js';
import { precisionOf, precisions } from './precisions.js';
import { packWalk } from './walk.js';

/** Binary elementwise ops, with broadcasting. */
export function binary(library: KernelLibrary): Pick<Backend, 'binary' | 'binaryBackward'> {
  const forward = precisions(library, 'binary', 'ipppp');
  const share = precisions(library, 'share', 'idpppppi', 'scratchKernel');

  function addShare(
    [kind, factor]: Share,
    { shape, strides }: StridedWalk,
    [self, other]: readonly [Storage, Storage],
    gradY: Storage,
    { storage, accumulate }: Target,
  ): void {
    const packed = packWalk({ shape, strides })!;
    const from = [dataOf(self), dataOf(other), dataOf(gradY)] as const;
    const rule = kindOf(SHARE_KINDS, kind);
    share[precisionOf(storage)](rule, factor, packed, ...from, dataOf(storage), Number(accumulate));
  }

  return {
    binary: (kind, walk, a, b, y) => {
      const packed = packWalk(walk);
      if (!packed) return reference.binary(kind, walk, a, b, y);
      forward[precisionOf(y)](kindOf(BINARY_KINDS, kind), packed, dataOf(a), dataOf(b), dataOf(y));
    },
    binaryBackward: (kind, walk, a, b, gradY, gradA, gradB) => {
      if (!packWalk(walk)) return reference.binaryBackward(kind, walk, a, b, gradY, gradA, gradB);
      const { shape, strides } = walk;
      const [shareA, shareB] = BINARY[kind].shares;
      if (gradA) addShare(shareA, walk, [a, b], gradY, gradA);
      const swapped = { shape, strides: [strides[1]!, strides[0]!] };
      if (gradB) addShare(shareB, swapped, [b, a], gradY, gradB);
    },
  };
}
