import {
  add,
  affine,
  cat,
  causalAttention,
  matmul,
  mul,
  narrow,
  permute,
  reshape,
  softmax,
  tensor,
  zeros,
  type Tensor,
} from '@dag/executor';
import { named } from './arguments.js';
import { ModelError } from './error.js';

/** Room grows by this many tokens, so that tensors of few different sizes are made. */
const CHUNK = 64;
/** Added to the scores of room that no token has taken: its weight is exactly zero. */
const NEVER = -1e9;

/** Keys (B, H, d, R) and values (B, H, R, d) of the tokens so far of one block, zero where the room R is not taken. */
export interface BlockCache {
  length: number;
  keys: Tensor | null;
  values: Tensor | null;
}

/**
 * Keys and values of the tokens that a `Gpt` has read, so that the next token costs one position instead of all. Extended
 * by `Gpt.forward(tokens, { cache })`: first with any number of tokens, then with one at a time. Without gradients.
 */
export class KeyValueCache {
  /** Tokens read. */
  length = 0;
  readonly blocks: readonly BlockCache[];

  /** @throws {ModelError} `bad-input` unless `layers` is a whole number from 0. */
  constructor(layers: number) {
    if (!Number.isInteger(layers) || layers < 0)
      throw new ModelError(
        'bad-input',
        `a cache has a whole number of layers from 0, given ${named(layers)}`,
      );
    this.blocks = Array.from({ length: layers }, () => ({ length: 0, keys: null, values: null }));
  }

  /** Gives the memory back; the cache is empty again. */
  clear(): void {
    this.length = 0;
    for (const block of this.blocks) {
      block.keys?.dispose();
      block.values?.dispose();
      Object.assign(block, { length: 0, keys: null, values: null });
    }
  }

  /** What the scope around `forward` must return for the cache to outlive it. */
  tensors(): Tensor[] {
    return this.blocks.flatMap(({ keys, values }) => [keys, values].filter((t) => t !== null));
  }
}

/** `causalAttention` of the newest tokens, qkv (B, T, 3C), to those in the cache and themselves → (B, T, C). */
export function attendCached(qkv: Tensor, heads: number, cache: BlockCache): Tensor {
  const [B, T, wide] = qkv.shape as [number, number, number];
  const C = wide / 3;
  const d = C / heads;
  const part = (i: number, order: readonly number[]): Tensor =>
    permute(reshape(narrow(qkv, 2, i * C, C), [B, T, heads, d]), order);
  const keys = part(1, [0, 2, 3, 1]);
  const values = part(2, [0, 2, 1, 3]);
  if (cache.keys === null || cache.values === null) {
    cache.length = T;
    cache.keys = withRoom(keys, 3, T);
    cache.values = withRoom(values, 2, T);
    return causalAttention(qkv, { heads });
  }
  if (T !== 1)
    throw new ModelError('shape', `a cache that holds tokens takes one at a time, given ${T} tokens`);
  const at = cache.length++;
  cache.keys = placed(cache.keys, keys, 3, at);
  cache.values = placed(cache.values, values, 2, at);
  const room = cache.values.shape[2]!;
  const { device } = qkv;
  const taken = tensor(
    Float32Array.from({ length: room }, (_, i) => (i <= at ? 0 : NEVER)),
    [room],
    { device },
  );
  const scores = affine(matmul(part(0, [0, 2, 1, 3]), cache.keys), 1 / Math.sqrt(d));
  const attended = matmul(softmax(add(scores, taken)), cache.values);
  return reshape(permute(attended, [0, 2, 1, 3]), [B, 1, C]);
}

/** x with zeros after it along `dim`, up to a multiple of CHUNK that has room for more than `length`. */
function withRoom(x: Tensor, dim: number, length: number): Tensor {
  const more = CHUNK - (length % CHUNK);
  const shape = x.shape.map((n, i) => (i === dim ? more : n));
  return cat([x, zeros(shape, { device: x.device })], dim);
}

/** `all` with `one` in the place `at` along `dim`, which was zero. */
function placed(all: Tensor, one: Tensor, dim: number, at: number): Tensor {
  const room = all.shape[dim]!;
  const grown = at < room ? all : withRoom(all, dim, at);
  const place = new Float32Array(grown.shape[dim]!);
  place[at] = 1;
  const shape = grown.shape.map((n, i) => (i === dim ? n : 1));
  const result = add(grown, mul(tensor(place, shape, { device: all.device }), one));
  all.dispose();
  return result;
}
