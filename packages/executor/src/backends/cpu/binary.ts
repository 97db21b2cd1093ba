import type { Backend, BinaryKind, HostArray, StridedWalk, Target } from '../../backend.js';
import { dataOf } from '../host.js';
import { reference } from '../reference/index.js';
import type { Library } from './library.js';
import { precisions } from './precisions.js';
import { packWalk } from './walk.js';

/** In the order of BinaryKind in kernels/cpu/binary.cpp. */
const BINARY_KINDS: readonly BinaryKind[] = [
  'add',
  'sub',
  'mul',
  'div',
  'maximum',
  'minimum',
  'greaterEqual',
];

/** In the order of Share in kernels/cpu/binary.cpp. */
const SHARES = ['scaled', 'timesOther', 'overOther', 'asDivisor', 'ifLarger'] as const;
/** What an operand receives of the gradient, and the factor in it. */
type Share = readonly [(typeof SHARES)[number], number];

/** The shares of a and of b. */
const SHARES_OF: Readonly<Record<BinaryKind, readonly [Share, Share]>> = {
  add: [
    ['scaled', 1],
    ['scaled', 1],
  ],
  sub: [
    ['scaled', 1],
    ['scaled', -1],
  ],
  mul: [
    ['timesOther', 1],
    ['timesOther', 1],
  ],
  div: [
    ['overOther', 1],
    ['asDivisor', 1],
  ],
  maximum: [
    ['ifLarger', 1],
    ['ifLarger', 1],
  ],
  minimum: [
    ['ifLarger', -1],
    ['ifLarger', -1],
  ],
  greaterEqual: [
    ['scaled', 0],
    ['scaled', 0],
  ],
};

/** Functions of two tensors. */
export function binary(library: Library): Pick<Backend, 'binary' | 'binaryBackward'> {
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
    kernel(SHARES.indexOf(kind), factor, packed, self, other, gradY, into, Number(accumulate));
  }

  return {
    binary: (kind, walk, a, b, y) => {
      const packed = packWalk(walk);
      if (!packed) return reference.binary(kind, walk, a, b, y);
      const to = dataOf(y);
      const kernel = to instanceof Float32Array ? forward.f32 : forward.f64;
      kernel(BINARY_KINDS.indexOf(kind), packed, dataOf(a), dataOf(b), to);
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
