import { ANY_NUMBER, checkNumber, checkOptions, FINITE, named, SEED_WORD } from './arguments.js';
import type { Device, DType } from './backend.js';
import { hostArray } from './backends/host.js';
import { backendOf } from './devices.js';
import { ExecutorError } from './error.js';
import { forEachWord, normals } from './random.js';
import { checkedShape, show, sizeOf, type Shape } from './shape.js';
import { empty, type Tensor } from './tensor.js';
import { checkValue, flatten, numbersOf, type NestedNumbers } from './values.js';

/** Options of `tensor`, `zeros`, `randn` and other functions that make tensors. */
export interface TensorOptions {
  /** Default: f32; in `tensor` f64 for a Float64Array and i32 for an Int32Array. */
  readonly dtype?: DType;
  /** Default: that of `setDefaultDevice`, else the fastest backend that loads. */
  readonly device?: Device;
  /** Whether `backward` computes a gradient for the tensor. Default: false; not for i32. */
  readonly requiresGrad?: boolean;
}
/** Keys of TensorOptions. */
const TENSOR_OPTIONS = ['dtype', 'device', 'requiresGrad'];

/**
 * A tensor of `values`, row-major. `shape` defaults to that of the nested arrays, and for a number to `[]`.
 *
 * @throws {ExecutorError} `shape` where the number of values does not fit the shape, or nested arrays differ in length; `value` for what
 *   is no number, and for numbers that i32 cannot hold.
 * @example tensor([[1, 2], [3, 4]]).shape // [2, 2]
 * @example tensor([1, 2], { dtype: 'i32' })
 */
export function tensor(values: number | NestedNumbers, options?: TensorOptions): Tensor;
export function tensor(values: number | NestedNumbers, shape?: Shape, options?: TensorOptions): Tensor;
export function tensor(
  values: number | NestedNumbers,
  shape?: Shape | TensorOptions,
  options?: TensorOptions,
): Tensor {
  if (options === undefined && typeof shape === 'object' && shape !== null && !('length' in shape))
    return tensor(values, undefined, shape);
  options ??= {};
  const nested = flatten('tensor', values);
  const checked = checkedShape((shape as Shape | undefined) ?? nested.shape, 'tensor');
  checkOptions('tensor', options, TENSOR_OPTIONS);
  const { dtype = nested.dtype, device, requiresGrad } = options;
  const numbers = numbersOf('tensor', nested.flat, dtype);
  if (numbers.length !== sizeOf(checked))
    throw new ExecutorError(
      'shape',
      `tensor: ${numbers.length} values for the shape ${show(checked)}, which has ${sizeOf(checked)}`,
    );
  const out = create(checked, { dtype, device, requiresGrad });
  if (out.size > 0) out.backend.write(out.storage, numbers);
  return out;
}

function create(
  shape: Shape,
  {
    dtype = 'f32',
    device,
    requiresGrad = false,
  }: { [K in keyof TensorOptions]: TensorOptions[K] | undefined },
): Tensor {
  const out = empty(shape, dtype, backendOf(device));
  out.requiresGrad = requiresGrad;
  return out;
}

/** A tensor filled with `value`; f32 by default. @throws {ExecutorError} `value` where the dtype is i32 and cannot hold it; `shape`. */
export function full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
  checkNumber('full', 'value', value, ANY_NUMBER);
  checkOptions('tensor', options, TENSOR_OPTIONS);
  const out = create(checkedShape(shape, 'tensor'), options);
  checkValue('full', value, out.dtype, 'value');
  out.backend.fill(out.storage, value);
  return out;
}

/** A tensor of zeros; f32 by default. @throws {ExecutorError} `shape`. */
export function zeros(shape: Shape, options?: TensorOptions): Tensor {
  return full(shape, 0, options);
}

/** A tensor of ones; f32 by default. @throws {ExecutorError} `shape`. */
export function ones(shape: Shape, options?: TensorOptions): Tensor {
  return full(shape, 1, options);
}

/** A seed, read once. @throws {ExecutorError} `value` unless it is two whole numbers from 0 to 2³² − 1. */
function seedPair(op: string, seed: unknown): readonly [number, number] {
  const [low, high, ...more] = Array.isArray(seed) ? (seed as readonly unknown[]) : [];
  if (!Array.isArray(seed) || more.length > 0)
    throw new ExecutorError('value', `${op}: seed is a pair of whole numbers, given ${named(seed)}`);
  checkNumber(op, 'the first word of the seed', low, SEED_WORD);
  checkNumber(op, 'the second word of the seed', high, SEED_WORD);
  return [low as number, high as number];
}

/**
 * Normal numbers with mean 0 and standard deviation `std` (default: 1), f32 by default: a pure function of `seed` and the shape.
 *
 * @throws {ExecutorError} `value` unless the seed is two whole numbers from 0 to 2³² − 1.
 */
export function randn(
  shape: Shape,
  options: TensorOptions & { readonly seed: readonly [number, number]; readonly std?: number },
): Tensor {
  const checked = checkedShape(shape, 'randn');
  checkOptions('randn', options, [...TENSOR_OPTIONS, 'seed', 'std']);
  const { seed, std = 1, ...rest } = options;
  checkNumber('randn', 'std', std, FINITE);
  const values = normals(seedPair('randn', seed), sizeOf(checked));
  for (let i = 0; i < values.length; i++) values[i]! *= std;
  return tensor(values, checked, { dtype: 'f32', ...rest });
}

/**
 * ⌈(end − start)/step⌉ numbers from `start` to before `end`, `step` apart; f32 by default. With one number that is `end`, and `start` is 0.
 *
 * @throws {ExecutorError} `value` where one is not finite, or the step is 0 or leads away from the end.
 * @example arange(0, 5, 2) // [0, 2, 4]
 * @example arange(3) // [0, 1, 2]
 */
export function arange(start: number, end?: number, step = 1, options: TensorOptions = {}): Tensor {
  if (end === undefined) [start, end] = [0, start];
  for (const [name, x] of Object.entries({ start, end, step })) checkNumber('arange', name, x, FINITE);
  const count = Math.ceil((end - start) / step);
  if (!(count >= 0))
    throw new ExecutorError('value', `arange: no step of ${named(step)} leads from ${start} to ${end}`);
  return numbers('arange', [count], options, (i) => start + i * step);
}

/** `count` numbers at equal distances from `start` to `end`, both included; f32 by default. */
export function linspace(start: number, end: number, count: number, options: TensorOptions = {}): Tensor {
  for (const [name, x] of Object.entries({ start, end })) checkNumber('linspace', name, x, FINITE);
  const last = count - 1;
  // From the nearer end, so that both ends are exact.
  return numbers('linspace', [count], options, (i) =>
    2 * i < last
      ? start + (i * (end - start)) / last
      : last === 0
        ? start
        : end - ((last - i) * (end - start)) / last,
  );
}

/** The identity matrix (rows, columns), by default square; f32 by default. */
export function eye(rows: number, columns = rows, options: TensorOptions = {}): Tensor {
  return numbers('eye', [rows, columns], options, (i) => Number(Math.floor(i / columns) === i % columns));
}

/**
 * Uniform numbers in [0, 1) with 24 random bits, f32 by default: a pure function of `seed` and the shape.
 *
 * @throws {ExecutorError} `value` unless the seed is two whole numbers from 0 to 2³² − 1.
 */
export function rand(
  shape: Shape,
  options: TensorOptions & { readonly seed: readonly [number, number] },
): Tensor {
  const checked = checkedShape(shape, 'rand');
  checkOptions('rand', options, [...TENSOR_OPTIONS, 'seed']);
  const { seed, ...rest } = options;
  const values = hostArray('f64', sizeOf(checked));
  // 24 bits, as many as f32 has: more would round up to 1.
  forEachWord(seedPair('rand', seed), values.length, (i, word) => (values[i] = (word >>> 8) / 2 ** 24));
  return tensor(values, checked, { dtype: 'f32', ...rest });
}

/** A tensor whose element `i`, row-major, is `f(i)`. Default dtype: f32. */
function numbers(op: string, shape: Shape, options: TensorOptions, f: (i: number) => number): Tensor {
  const checked = checkedShape(shape, op);
  checkOptions(op, options, TENSOR_OPTIONS);
  const values = hostArray('f64', sizeOf(checked));
  for (let i = 0; i < values.length; i++) values[i] = f(i);
  return tensor(values, checked, { dtype: 'f32', ...options });
}
