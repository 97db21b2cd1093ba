import { add, cast, embedding, reshape, tensor, type Device, type DType, type Tensor } from '@dag/executor';
import { isTensor } from '../arguments.js';

/** A constant of the dtype and device of `like`. */
export function constant(
  values: readonly number[],
  shape: readonly number[],
  like: { dtype: DType; device: Device },
): Tensor {
  return tensor(values, shape, { dtype: like.dtype, device: like.device });
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** x (B, T, …) at token `at[b]` of each row b: (B, 1, …). In a recorded step `at` is a tensor (B) of f64. */
export function atTokens(x: Tensor, at: readonly number[] | Tensor): Tensor {
  const [B, T, ...rest] = x.shape as [number, number, ...number[]];
  const { device } = x;
  const first = Array.from({ length: B }, (_, b) => b * T);
  const rows = isTensor(at)
    ? cast(add(at, tensor(first, [B], { dtype: 'f64', device })), 'i32')
    : tensor(
        first.map((row, b) => row + at[b]!),
        [B],
        { dtype: 'i32', device },
      );
  return reshape(embedding(reshape(x, [B * T, product(rest)]), rows), [B, 1, ...rest]);
}
