import { ExecutorError } from '../error.js';
import type { Activation, BinaryKind, DagFields, Target, UnaryKind } from '../backend.js';

/** What kernels know operations by: their places in these lists, as in kernels/cpu and kernels/cuda. */
export const UNARY_KINDS: readonly UnaryKind[] = [
  'abs',
  'exp',
  'log',
  'sqrt',
  'square',
  'sigmoid',
  'softplus',
  'affine',
  'clamp',
  'huber',
  'tanh',
  'gelu',
  'geluTanh',
];

/** What kernels know activations by, 0 for none. */
export const activationKind = (activation: Activation | null): number =>
  activation === null ? 0 : kindOf(ACTIVATIONS, activation) + 1;
export const ACTIVATIONS: readonly Activation[] = ['gelu', 'geluTanh'];

/** The place of a kind in its list: what kernels know it by. @throws {ExecutorError} `value` where it is not there. */
export function kindOf<K extends string>(kinds: readonly K[], kind: K): number {
  const place = kinds.indexOf(kind);
  if (place >= 0) return place;
  throw new ExecutorError('value', `there is no operation '${kind}'; there are ${kinds.join(', ')}`);
}

export const BINARY_KINDS: readonly BinaryKind[] = [
  'add',
  'sub',
  'mul',
  'div',
  'maximum',
  'minimum',
  'greaterEqual',
];

export const SHARES = ['scaled', 'timesOther', 'overOther', 'asDivisor', 'ifLarger'] as const;
/** What an operand receives of the gradient, and the factor in it. */
export type Share = readonly [(typeof SHARES)[number], number];

/** The shares of a and of b. */
export const SHARES_OF: Readonly<Record<BinaryKind, readonly [Share, Share]>> = {
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

/** A bit for each field whose gradient is added to what is there. */
export function accumulatedFields({ V_mag, V_sign, O, G }: DagFields<Target | null>): number {
  const bit = (target: Target | null, value: number) => (target?.accumulate ? value : 0);
  return bit(V_mag, 1) + bit(V_sign, 2) + bit(O, 4) + bit(G, 8);
}
