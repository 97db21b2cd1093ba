import { ACTIVATIONS, type Activation } from '../elementwise.js';
import { ExecutorError } from '../error.js';
import type { DagFields, Target } from '../backend.js';

/** The number by which kernels know an activation: 0 for none. */
export const activationKind = (activation: Activation | null): number =>
  activation === null ? 0 : kindOf(ACTIVATIONS, activation) + 1;

/** The index of a kind in its list, by which kernels know it. @throws {ExecutorError} `value` for an unknown kind. */
export function kindOf<K extends string>(kinds: readonly K[], kind: K): number {
  const place = kinds.indexOf(kind);
  if (place >= 0) return place;
  throw new ExecutorError('value', `there is no operation '${kind}'; there are ${kinds.join(', ')}`);
}

/** A bit for each field whose gradient accumulates: 1, 2, 4, 8 for V_mag, V_sign, O, G. */
export function accumulatedFields({ V_mag, V_sign, O, G }: DagFields<Target | null>): number {
  const bit = (target: Target | null, value: number) => (target?.accumulate ? value : 0);
  return bit(V_mag, 1) + bit(V_sign, 2) + bit(O, 4) + bit(G, 8);
}
