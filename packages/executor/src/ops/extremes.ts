import { checkBoolean } from '../arguments.js';
import { ExecutorError } from '../error.js';
import { dimension, show, sizeOf } from '../shape.js';
import { isRecordingTape, record, withoutRecording } from '../tape.js';
import { commonDType, empty, gradOf, type Tensor } from '../tensor.js';
import { equal } from './conditions.js';
import { div, neg } from './elementwise.js';
import { gather } from './indexing.js';
import { columns, reduced, sum } from './reduce.js';
import { permute, reshape } from './shape.js';

/** Largest i32. */
const MAX_INDEX = 2 ** 31 - 1;

/**
 * Largest element over `dims` (default: all), which are removed unless `keepDim`; NaN where there is one. Over one dimension, given as a
 * number, the gradient goes to the element at `argmax`, as by PyTorch's `max`; over a list or all dimensions it is shared evenly among
 * equals, as by `amax`.
 *
 * @throws {ExecutorError} `shape` where there are no elements to choose from.
 */
export const max = (x: Tensor, dims?: number | readonly number[], keepDim = false): Tensor =>
  extreme('max', x, dims, keepDim);
/** Smallest element over `dims`; otherwise as `max`. */
export const min = (x: Tensor, dims?: number | readonly number[], keepDim = false): Tensor =>
  extreme('min', x, dims, keepDim);

/**
 * Index of the largest element along `dim`, as i32: the first of equals; NaN counts as the largest. Without `dim`: index among all
 * elements, row-major.
 *
 * @throws {ExecutorError} `shape` where there are no elements to choose from.
 */
export const argmax = (x: Tensor, dim?: number, keepDim = false): Tensor =>
  indexOf('argmax', x, dim, keepDim);
/** Index of the smallest element; NaN counts as the smallest; otherwise as `argmax`. */
export const argmin = (x: Tensor, dim?: number, keepDim = false): Tensor =>
  indexOf('argmin', x, dim, keepDim);

type Op = 'max' | 'min' | 'argmax' | 'argmin';

function indexOf(op: Op, x: Tensor, dim: number | undefined, keepDim: boolean): Tensor {
  commonDType(op, [x]);
  checkBoolean(op, 'keepDim', keepDim);
  if (dim === undefined) {
    const index = indexOf(op, reshape(x, [x.size]), 0, false);
    return keepDim ? reshape(index, new Array<number>(x.shape.length).fill(1)) : index;
  }
  const d = dimension(dim, x.shape.length, op);
  const { outer, n, inner } = columns(x, d);
  if (!(n >= 1 && n <= MAX_INDEX))
    throw new ExecutorError(
      'shape',
      n === 0
        ? `${op}: there are no elements in dimension ${d} of ${show(x.shape)} to take one from`
        : `${op}: dimension ${d} of ${show(x.shape)} is longer than an i32 counts`,
    );
  const shape = x.shape.flatMap((size, i) => (i !== d ? [size] : keepDim ? [1] : []));
  const index = empty(shape, 'i32', x.backend);
  const signed = op === 'min' || op === 'argmin' ? withoutRecording(() => neg(x)) : x;
  x.backend.argmax(signed.storage, index.storage, outer, n, inner);
  return index;
}

function extreme(
  op: 'max' | 'min',
  x: Tensor,
  dims: number | readonly number[] | undefined,
  keepDim: boolean,
): Tensor {
  commonDType(op, [x]);
  checkBoolean(op, 'keepDim', keepDim);
  const over = reduced(x, dims, op);
  const all = [...x.shape.keys()];
  const order = [...all.filter((d) => !over.has(d)), ...all.filter((d) => over.has(d))];
  const kept = x.shape.map((n, d) => (over.has(d) ? 1 : n));
  const count = sizeOf(kept);
  const n = [...over].reduce((product, d) => product * x.shape[d]!, 1);
  // One row for each element of the result.
  const inOrder = order.every((d, i) => d === i) ? x : permute(x, order);
  const rows = reshape(inOrder, [count, n]);
  const index = indexOf(op, rows, 1, false);
  const y = typeof dims === 'number' ? gather(rows, index) : sharedAmongEquals(op, rows, index);
  return reshape(y, keepDim ? kept : x.shape.filter((_, d) => !over.has(d)));
}

/** The element at `index` of each row; its gradient is shared evenly by all elements that equal it. */
function sharedAmongEquals(op: Op, rows: Tensor, index: Tensor): Tensor {
  const y = withoutRecording(() => gather(rows, index));
  if (!isRecordingTape() || !rows.requiresGrad) return y;
  const { shape, dtype, backend } = rows;
  const [count, n] = shape as [number, number];
  const shares = withoutRecording(() => {
    const equals = equal(rows, reshape(y, [count, 1]));
    return div(equals, sum(equals, 1, true));
  });
  return record(op, y, [rows], { shares }, (gradY, saved) => {
    const gradient = empty(shape, dtype, backend);
    const walk = { shape, strides: [[n, 1], [1, 0]] }; // prettier-ignore
    backend.binary('mul', walk, saved.shares, gradY, gradient.storage);
    backend.cast(gradient.storage, gradOf(rows));
  });
}
