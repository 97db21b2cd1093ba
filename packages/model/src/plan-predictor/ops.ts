import { embedding, reshape, tensor, type Device, type DType, type Tensor } from '@dag/executor';

/** A constant of the dtype and device of `like`. */
export function constant(
  values: readonly number[],
  shape: readonly number[],
  like: { dtype: DType; device: Device },
): Tensor {
  return tensor(values, shape, { dtype: like.dtype, device: like.device });
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** x (B, T, …) at token `at[b]` of each row b: (B, 1, …). */
export function atTokens(x: Tensor, at: readonly number[]): Tensor {
  const [B, T, ...rest] = x.shape as [number, number, ...number[]];
  const rows = Int32Array.from(at, (t, b) => b * T + t);
  const picked = embedding(
    reshape(x, [B * T, product(rest)]),
    tensor(rows, [B], { dtype: 'i32', device: x.device }),
  );
  return reshape(picked, [B, 1, ...rest]);
}
