import { checkNumber, checkOptions, FINITE, named } from './arguments.js';
import { hostArray } from './backends/host.js';
import { ExecutorError } from './error.js';
import { forEachWord } from './random.js';
import { checkedShape, sizeOf, type Shape } from './shape.js';
import { seedPair, tensor, TENSOR_OPTIONS, type Tensor, type TensorOptions } from './tensor.js';

/**
 * Numbers from `start` to before `end`, `step` apart: ⌈(end − start)/step⌉ of them.
 *
 * @throws {ExecutorError} `value` where one is not finite, or the step is 0 or leads away from the end.
 * @example arange(0, 5, 2) // [0, 2, 4]
 */
export function arange(start: number, end: number, step = 1, options: TensorOptions = {}): Tensor {
  for (const [name, x] of Object.entries({ start, end, step })) checkNumber('arange', name, x, FINITE);
  const count = Math.ceil((end - start) / step);
  if (!(count >= 0))
    throw new ExecutorError('value', `arange: no step of ${named(step)} leads from ${start} to ${end}`);
  return numbers('arange', [count], options, (i) => start + i * step);
}

/** `count` numbers at equal distances, the first of which is `start` and the last `end`. */
export function linspace(start: number, end: number, count: number, options: TensorOptions = {}): Tensor {
  for (const [name, x] of Object.entries({ start, end })) checkNumber('linspace', name, x, FINITE);
  const last = count - 1;
  // From the nearer end, so that both are met.
  return numbers('linspace', [count], options, (i) =>
    2 * i < last
      ? start + (i * (end - start)) / last
      : last === 0
        ? start
        : end - ((last - i) * (end - start)) / last,
  );
}

/** Ones where the row is the column, zeros elsewhere: (rows, columns), by default as many columns as rows. */
export function eye(rows: number, columns = rows, options: TensorOptions = {}): Tensor {
  return numbers('eye', [rows, columns], options, (i) => Number(Math.floor(i / columns) === i % columns));
}

/**
 * Uniform numbers in [0, 1): a pure function of `seed` and the shape.
 *
 * @throws {ExecutorError} `value` unless the seed is two whole numbers from 0 to 2³² − 1.
 */
export function rand(
  shape: Shape,
  options: TensorOptions & { readonly seed: readonly [number, number] },
): Tensor {
  const own = checkedShape(shape, 'rand');
  checkOptions('rand', options, [...TENSOR_OPTIONS, 'seed']);
  const { seed, ...rest } = options;
  const values = hostArray('f64', sizeOf(own));
  // 24 bits, as many as f32 has: more would round up to 1.
  forEachWord(seedPair('rand', seed), values.length, (i, word) => (values[i] = (word >>> 8) / 2 ** 24));
  return tensor(values, own, { dtype: 'f32', ...rest });
}

/** A tensor whose element `i`, row-major, is `f(i)`. Default dtype: f32. */
function numbers(op: string, shape: Shape, options: TensorOptions, f: (i: number) => number): Tensor {
  const own = checkedShape(shape, op);
  checkOptions(op, options, TENSOR_OPTIONS);
  const values = hostArray('f64', sizeOf(own));
  for (let i = 0; i < values.length; i++) values[i] = f(i);
  return tensor(values, own, { dtype: 'f32', ...options });
}
