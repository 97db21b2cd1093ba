import type { Tensor } from '@dag/executor';
import { areWhole, checkObject, isTensor, named } from '../arguments.js';
import { ModelError } from '../error.js';
import type { TokenFeatures } from './token-features.js';

/** Checks of predictions: mismatched sizes would otherwise be broadcast to a wrong plan. */

/** (B, T), from one field (B, T, …) of a prediction. @throws {ModelError} `shape` for anything else. */
export function batchOf(what: string, field: Tensor): readonly number[] {
  if (isTensor(field) && field.shape.length >= 2) return field.shape.slice(0, 2);
  throw new ModelError(
    'shape',
    `${what} is a tensor (B, T, …), given ${isTensor(field) ? `(${field.shape.join(', ')})` : named(field)}`,
  );
}

/** @throws {ModelError} `shape` unless each field is a float tensor of the shape (B, T, …sizes[name]). */
export function checkFields(
  what: string,
  fields: object,
  batch: readonly number[],
  sizes: Readonly<Record<string, readonly number[]>>,
): void {
  for (const [name, rest] of Object.entries(sizes)) {
    const x: unknown = Reflect.get(fields, name);
    const shape = [...batch, ...rest].join(', ');
    if (isTensor(x) && x.dtype !== 'i32' && x.shape.join(', ') === shape) continue;
    const given = isTensor(x) ? `(${x.shape.join(', ')}) of ${x.dtype}` : named(x);
    throw new ModelError('shape', `${name} of ${what} is a tensor of floats (${shape}), given ${given}`);
  }
}

/** @throws {ModelError} `shape` unless the features are of the (B, T) of the hidden states. */
export function checkFeatures(features: TokenFeatures, hidden: Tensor): void {
  checkObject('features, as tokenFeatures makes them,', features);
  const { digits } = features;
  const most = isTensor(digits) ? (digits.shape[3] ?? 1) : 1;
  checkFields('token features', features, batchOf('hidden states', hidden), {
    ...{ count: [], point: [], begins: [], opens: [], digits: [2, most] },
  });
}

/** @throws {ModelError} `bad-input` unless `at` holds one of the tokens 0 … T−1 for each of the B rows of `x` (B, T, …). */
export function checkAt(at: readonly number[], x: Tensor): void {
  const [B, T] = batchOf('what is asked', x) as [number, number];
  if (Array.isArray(at) && at.length === B && areWhole(at, T)) return;
  throw new ModelError(
    'bad-input',
    `at is an array of a token of 0 … ${T - 1} for each of ${B} rows, given ${Array.isArray(at) ? `[${at.map(named).join(', ')}]` : named(at)}`,
  );
}
