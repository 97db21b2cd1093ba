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

/** The cache grows by this many tokens at once, so that its tensors have few different sizes. */
const CHUNK = 64;
/** Bias of the scores of unused places, low enough that their attention weights are exactly 0. */
const NEVER = -1e9;

/** Keys (B, H, d, R) and values (B, H, R, d) of one block, with room for R tokens; zero from `length` on. */
export interface BlockCache {
  length: number;
  keys: Tensor | null;
  values: Tensor | null;
  /** (B, n, C) what the convolution of the block read last; null where it has none. */
  recent: Tensor | null;
}

/**
 * Keys and values of the tokens that a `Gpt` has read, so that each further token costs a forward pass of one position.
 * `Gpt.forward(tokens, { cache })` extends it: by any number of tokens while it is empty, then by one at a time. It holds no
 * gradients, so `forward` must run in `noGrad`.
 *
 * @example
 * const cache = new KeyValueCache(model.config.nLayer);
 */
export class KeyValueCache {
  /** Number of tokens read. */
  length = 0;
  /** The cache of each block. */
  readonly blocks: readonly BlockCache[];

  /** @throws {ModelError} `bad-input` unless `layers` is a whole number from 0. */
  constructor(layers: number) {
    if (!Number.isInteger(layers) || layers < 0)
      throw new ModelError(
        'bad-input',
        `a cache has a whole number of layers from 0, given ${named(layers)}`,
      );
    this.blocks = Array.from({ length: layers }, () => ({
      ...{ length: 0, keys: null, values: null, recent: null },
    }));
  }

  /** Frees its tensors; the cache is empty again. */
  clear(): void {
    this.length = 0;
    for (const block of this.blocks) {
      for (const held of [block.keys, block.values, block.recent]) held?.dispose();
      Object.assign(block, { length: 0, keys: null, values: null, recent: null });
    }
  }

  /** Its tensors. A `scope` around `forward` must return them, or it frees them. */
  tensors(): Tensor[] {
    return this.blocks.flatMap(({ keys, values, recent }) =>
      [keys, values, recent].filter((t) => t !== null),
    );
  }
}

/** `causalAttention` of new tokens, qkv (B, T, 3C), to the tokens in the cache and to themselves → (B, T, C). */
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

/** Pads x with zeros along `dim`, to the next multiple of CHUNK above `length`. */
function withRoom(x: Tensor, dim: number, length: number): Tensor {
  const more = CHUNK - (length % CHUNK);
  const shape = x.shape.map((n, i) => (i === dim ? more : n));
  return cat([x, zeros(shape, { device: x.device })], dim);
}

/** Writes `one` to index `at` of `all` along `dim`, which is zero there, and frees `all`. */
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
