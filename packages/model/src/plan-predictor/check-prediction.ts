import type { DagTensorFields, Tensor } from '@dag/executor';
import { areWhole, checkObject, isTensor, named } from '../arguments.js';
import { ModelError } from '../error.js';
import { operatorCount, slotCount, type RegisterLayout } from './layout.js';
import type { Prediction } from './plan-predictor.js';
import type { Registers, TokenFeatures } from './registers.js';

/** Checks of what was predicted: sizes that do not belong together would be broadcast to a plan that nobody predicted. */

/** (B, T) of predictions that a caller gives, of which one field alone says it. */
export function batchOf(what: string, field: Tensor): readonly number[] {
  if (isTensor(field) && field.shape.length >= 2) return field.shape.slice(0, 2);
  throw new ModelError(
    'shape',
    `${what} is a tensor (B, T, …), given ${isTensor(field) ? `(${field.shape.join(', ')})` : named(field)}`,
  );
}

/** @throws {ModelError} `shape` unless each field is a tensor of floats, of the shape (B, T, …) by that name. */
function checkFields(
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

/** Where no layout is given, that of the registers themselves. @throws {ModelError} `shape`. */
export function checkRegisters(registers: Registers, layout?: RegisterLayout): void {
  checkObject('registers, as a model predicts them,', registers);
  const { digits, priority, count } = registers;
  const batch = batchOf('count of registers', count);
  const size = (x: Tensor, dim: number): number => (isTensor(x) ? (x.shape[dim] ?? 0) : 0);
  const of = layout ?? { depth: size(priority, 2), digits: size(digits, 3) };
  const [K, S] = [operatorCount(of), slotCount(of)];
  checkFields('registers', registers, batch, {
    ...{ digits: [S, of.digits, 10], length: [S], negative: [S] },
    ...{ operators: [K, 5], priority: [K], count: [] },
  });
}

/** @throws {ModelError} `shape`. */
export function checkFeatures(features: TokenFeatures, hidden: Tensor, { digits }: RegisterLayout): void {
  checkObject('features, as tokenFeatures makes them,', features);
  checkFields('token features', features, batchOf('hidden states', hidden), {
    ...{ count: [], digits: [digits, 10], minus: [], point: [] },
  });
}

function checkPlan(plan: DagTensorFields, depth?: number): void {
  checkObject('a plan, as a model predicts it,', plan);
  const D = depth ?? (isTensor(plan.G) ? (plan.G.shape[2] ?? 0) : 0);
  checkFields('a plan', plan, batchOf('G of a plan', plan.G), {
    ...{ V_mag: [2 * D], V_sign: [2 * D], O: [D, 2 * D], G: [D] },
  });
}

/** Where no layout is given, that of the prediction itself. @throws {ModelError} `bad-input`, `shape`. */
export function checkPrediction(prediction: Prediction, layout?: RegisterLayout): void {
  checkObject('a prediction, as a model makes it,', prediction);
  switch (prediction.readout) {
    case 'registers':
      return checkRegisters(prediction.registers, layout);
    case 'linear':
      return checkPlan(prediction.plan, layout?.depth);
    default:
      throw new ModelError(
        'bad-input',
        `the readout of a prediction is 'registers' or 'linear', given ${named((prediction as { readout?: unknown }).readout)}`,
      );
  }
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
