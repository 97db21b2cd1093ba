import {
  abs,
  add,
  affine,
  cat,
  clamp,
  embedding,
  reshape,
  select,
  stack,
  sub,
  tensor,
  type Device,
  type DType,
  type Tensor,
} from '@dag/executor';

/** The constant 0, 1, …, n−1. */
export function range(n: number, like: Tensor): Tensor {
  return constant(
    Array.from({ length: n }, (_, i) => i),
    [n],
    like,
  );
}

/** A constant of the dtype and device of `like`. */
export function constant(
  values: readonly number[],
  shape: readonly number[],
  like: { dtype: DType; device: Device },
): Tensor {
  return tensor(values, shape, { dtype: like.dtype, device: like.device });
}

export const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

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

/** x with a new last dimension of size 1. */
export function unsqueeze(x: Tensor): Tensor {
  return reshape(x, [...x.shape, 1]);
}

/**
 * Addresses registers 0 … n−1 by a real number: max(0, 1 − |k − x|), x (…) → (…, n). A whole number addresses one
 * register, a number between two registers both, by distance.
 */
export function address(x: Tensor, n: number): Tensor {
  return clamp(affine(abs(sub(unsqueeze(x), range(n, x))), -1, 1), 0);
}

/** 1 − x. */
export const not = (x: Tensor): Tensor => affine(x, -1, 1);

/** min(x, 1): the probability that something was written. */
export const atMostOne = (x: Tensor): Tensor => clamp(x, -Infinity, 1);

/** (N, n) from n columns: each (N), one element for all rows, or null for zeros. */
export function columns(n: number, like: Tensor, column: (k: number) => Tensor | null): Tensor {
  const N = like.shape[0]!;
  const zero = affine(select(like, 1, 0), 0);
  return stack(
    Array.from({ length: n }, (_, k) => {
      const c = column(k) ?? zero;
      return c.size === N ? reshape(c, [N]) : add(zero, c);
    }),
    1,
  );
}

/** Concatenates along the last dimension. */
export function join(a: Tensor, b: Tensor): Tensor {
  return cat([a, b], -1);
}
