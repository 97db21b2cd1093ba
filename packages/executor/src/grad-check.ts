import {
  callSynchronously,
  checkFunction,
  checkedList,
  checkNumber,
  checkOptions,
  FROM_0,
} from './arguments.js';
import { ExecutorError } from './error.js';
import { checkTensor, noGrad, scope, type Tensor } from './tensor.js';

/** Options of `gradCheck`. */
export interface GradCheckOptions {
  /** Step of the central differences, relative to max(1, |x|). Default: 1e-4. */
  readonly step?: number;
  /** Largest allowed |analytic − numeric| / max(1, |numeric|). Default: 1e-6. */
  readonly tolerance?: number;
}

/** Result of `gradCheck`; the gradients agree where `failures` is empty. */
export interface GradCheckResult {
  /** Largest |analytic − numeric| / max(1, |numeric|) over all elements of all inputs; Infinity where one is NaN. */
  readonly maxError: number;
  /** One line for each element beyond the tolerance. */
  readonly failures: readonly string[];
}

/**
 * Compares the gradients of a scalar function with central differences, element by element.
 *
 * @param f Computes a tensor of one element from `inputs`, as a pure function.
 * @param inputs f64 tensors that require gradients. Their values are restored; their gradients are overwritten.
 * @throws {ExecutorError} `dtype` where an input is not f64; `autograd` where one requires no gradient; `value` for other bad arguments.
 * @example gradCheck(() => sum(square(x)), [x]).failures // []
 */
export function gradCheck(
  f: () => Tensor,
  inputs: readonly Tensor[],
  options: GradCheckOptions = {},
): GradCheckResult {
  checkFunction('gradCheck', f);
  inputs = checkedList('gradCheck', 'inputs', inputs);
  checkOptions('gradCheck', options, ['step', 'tolerance']);
  const { step = 1e-4, tolerance = 1e-6 } = options;
  checkNumber('gradCheck', 'step', step, {
    what: 'a finite number above 0',
    has: (x) => x > 0 && x < Infinity,
  });
  checkNumber('gradCheck', 'tolerance', tolerance, FROM_0);
  for (const x of inputs) {
    checkTensor('gradCheck', x);
    if (x.dtype !== 'f64')
      throw new ExecutorError(
        'dtype',
        `gradCheck: inputs are f64, given ${x.dtype}; differences in f32 are too inexact`,
      );
    if (!x.requiresGrad) throw new ExecutorError('autograd', 'gradCheck: every input has requiresGrad');
    x.zeroGrad();
  }
  const result = (): Tensor => {
    const y = callSynchronously('gradCheck', f, 'its value is needed at once');
    checkTensor('gradCheck', y);
    return y;
  };
  scope(() => result().backward());
  const value = () => scope(() => noGrad(() => result().item()));
  const failures: string[] = [];
  let maxError = 0;
  inputs.forEach((x, n) => {
    const values = x.dataSync();
    const analytic = x.grad?.dataSync() ?? new Float64Array(x.size);
    for (let i = 0; i < values.length; i++) {
      const at = values[i]!;
      const h = step * Math.max(1, Math.abs(at));
      const valueAt = (offset: number): number => {
        values[i] = at + offset;
        x.set(values);
        return value();
      };
      let numeric: number;
      try {
        // Four points, so that the error of the difference is of order h⁴.
        numeric = (8 * (valueAt(h) - valueAt(-h)) - (valueAt(2 * h) - valueAt(-2 * h))) / (12 * h);
      } finally {
        values[i] = at;
        x.set(values);
      }
      const error = Math.abs(analytic[i]! - numeric) / Math.max(1, Math.abs(numeric));
      maxError = Math.max(maxError, Number.isNaN(error) ? Infinity : error);
      if (!(error <= tolerance))
        failures.push(`input ${n}[${i}] = ${at}: gradient ${analytic[i]}, difference ${numeric}`);
    }
  });
  return { maxError, failures };
}
